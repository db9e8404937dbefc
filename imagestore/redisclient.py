"""How every adapter of Redis connects: a bounded wait, and no try but its own."""

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry


def open_redis(url: str, *, timeout_s: float) -> redis.Redis:
    """A client with a pool of its own; nothing connects before it is used.

    Raises:
        ValueError: the URL is none of Redis'.
    """
    return redis.Redis.from_url(
        url,
        socket_timeout=timeout_s,
        socket_connect_timeout=timeout_s,
        retry=Retry(NoBackoff(), 0),
        # To tell Redis the client's version costs a look at the disk (2 ms for each job) and a round trip.
        driver_info=None,
    )
