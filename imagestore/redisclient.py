"""How every user of Redis connects: a bounded wait, and no try but its own."""

from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from redis.sentinel import Sentinel, SentinelManagedConnection

from imagestore.redisurl import SentinelURL, is_sentinel


def open_redis(url: str, *, timeout_s: float) -> redis.Redis:
    """A client with a pool of its own; nothing connects before it is used.

    Behind Sentinels each new connection first asks them who the master is. All of them together
    may take as long as one Redis may, so that a connect waits for at most twice `timeout_s`.

    Raises:
        ValueError: the URL is none of Redis'.
    """
    options = _bounded(timeout_s)
    if is_sentinel(url):
        return _master(url, options, sentinel_timeout_s=timeout_s)
    return redis.Redis.from_url(url, **options)


def open_patient_redis(url: str) -> redis.Redis:
    """A client for RQ's worker, which waits for jobs and sets timeouts and tries again by itself.

    Raises:
        ValueError: the URL is none of Redis'.
    """
    if is_sentinel(url):
        return _master(url, {}, sentinel_timeout_s=WORKERS_SENTINELS_S)
    return redis.Redis.from_url(url)


def named_masters(url: str, *, timeout_s: float) -> dict[str, str | None]:
    """Each Sentinel of the URL, and the `host:port` that it names as the master; None if it does not
    answer, or knows none. Empty for a URL of one Redis."""
    if not is_sentinel(url):
        return {}
    address = SentinelURL.parse(url)
    options = _bounded(timeout_s) | _login(address.sentinel_username, address.sentinel_password)
    named: dict[str, str | None] = {}
    for host, port in address.sentinels:
        with redis.Redis(host, port, decode_responses=True, **options) as sentinel:
            try:
                master = sentinel.sentinel_get_master_addr_by_name(address.master)
            except redis.RedisError:
                master = None
        named[f"{host}:{port}"] = f"{master[0]}:{master[1]}" if master else None
    return named


WORKERS_SENTINELS_S = 3.0
"""All Sentinels together; a worker has time, and what it waits for is a failover."""


def _bounded(timeout_s: float) -> dict[str, Any]:
    return {
        "socket_timeout": timeout_s,
        "socket_connect_timeout": timeout_s,
        "retry": Retry(NoBackoff(), 0),
        # To tell Redis the client's version costs a look at the disk (2 ms for each job) and a round trip.
        "driver_info": None,
    }


def _master(url: str, options: dict[str, Any], *, sentinel_timeout_s: float) -> redis.Redis:
    """A client of whoever is the master: when a connection breaks, or its Redis has become a replica,
    the next one asks the Sentinels again, and idle ones to the old master are closed."""
    address = SentinelURL.parse(url)
    asking = _bounded(sentinel_timeout_s / len(address.sentinels))
    asking |= _login(address.sentinel_username, address.sentinel_password)
    sentinels = Sentinel(  # type: ignore[no-untyped-call]  # redis-py has no types here
        address.sentinels,
        sentinel_kwargs=asking,
        db=address.database,
        **_login(address.username, address.password),
        **options,
    )
    master: redis.Redis = sentinels.master_for(  # type: ignore[no-untyped-call]
        address.master, connection_class=_Connection
    )
    return master


class _Connection(SentinelManagedConnection):
    """Also leaves a master that was cut off from its replicas (`min-replicas-to-write`): the others may have
    another one by now. redis-py does so for one that became a replica."""

    def read_response(self, *args: Any, **options: Any) -> Any:
        try:
            return super().read_response(*args, **options)
        except redis.ResponseError as error:
            if str(error).startswith("NOREPLICAS"):
                self.disconnect()  # type: ignore[no-untyped-call]
            raise


def _login(username: str, password: str) -> dict[str, str]:
    return {name: value for name, value in (("username", username), ("password", password)) if value}
