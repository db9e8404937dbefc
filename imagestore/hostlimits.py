"""How politely other servers are asked: so many requests at once and so many a second for each
host, counted in Redis over all workers.

A place is a lease: a worker that was killed frees it by silence. Who finds no place is told when
to come back, and does not wait.
"""

import contextlib
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import redis

from imagestore.errors import QueueUnavailable
from imagestore.redisclient import open_redis

LEASE_S = 15
"""Life of a place without a heartbeat."""

BUSY_S = 0.5
"""When to come back if all places are taken; about what one download takes."""


@dataclass(frozen=True, slots=True)
class Place:
    """Leave to ask a host: `wait_s` is 0, or the seconds after which to come back.

    `keep` has to be called every few seconds while the place is used.
    """

    wait_s: float
    keep: Callable[[], object]


class HostLimits:
    """Limits for each host over all processes that share the Redis of `url`.

    `concurrency` places at once; `rate` new ones a second, with bursts of up to a second's worth.
    """

    def __init__(self, url: str, *, concurrency: int, rate: float, timeout_s: float = 1.0) -> None:
        self._redis = open_redis(url, timeout_s=timeout_s)
        self._concurrency = concurrency
        self._rate = rate
        self._take = self._redis.register_script(_TAKE)

    @contextlib.contextmanager
    def place(self, host: str) -> Iterator[Place]:
        """A place at that host for the `with` block, if there is one.

        Raises:
            QueueUnavailable: Redis does not answer; nobody is asked without a count.
        """
        token = secrets.token_hex(8)
        places = f"host:{host}"
        lease_ms = LEASE_S * 1000
        arguments: list[str | int | float] = [
            token,
            lease_ms,
            self._concurrency,
            1e6 / self._rate,
            int(BUSY_S * 1e6),
        ]
        try:
            wait_us = int(self._take(keys=[places, f"rate:{host}"], args=arguments))
        except redis.RedisError as error:
            raise QueueUnavailable("the count of downloads of each host does not answer") from error
        if wait_us:
            yield Place(wait_us / 1e6, keep=lambda: None)
            return
        try:
            yield Place(0, keep=lambda: self._tell(lambda: self._renew(places, token)))
        finally:
            self._tell(lambda: self._redis.zrem(places, token))

    def close(self) -> None:
        """Close the connections of this process."""
        self._redis.close()

    def _renew(self, places: str, token: str) -> None:
        seconds, microseconds = self._redis.time()
        ends = int(seconds) * 1_000_000 + int(microseconds) + LEASE_S * 1_000_000
        pipeline = self._redis.pipeline()
        pipeline.zadd(places, {token: ends}, xx=True)
        pipeline.pexpire(places, LEASE_S * 1000)
        pipeline.execute()

    def _tell(self, tell: Callable[[], object]) -> None:
        """A place that cannot be given back or renewed now comes free by itself."""
        with contextlib.suppress(redis.RedisError):
            tell()


# Times are microseconds by the clock of Redis. The rate is counted as a moment that each taker moves
# on by one interval (the generic cell rate algorithm): it may be up to a second ahead of now.
_TAKE = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local interval = tonumber(ARGV[4])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[3]) then return tonumber(ARGV[5]) end
local moment = math.max(tonumber(redis.call('GET', KEYS[2]) or 0), now)
local burst = math.max(1000000 - interval, 0)
if moment - burst > now then return math.ceil(moment - burst - now) end
local life_ms = math.ceil((interval + 2000000) / 1000)
redis.call('SET', KEYS[2], string.format('%.0f', moment + interval), 'PX', life_ms)
redis.call('ZADD', KEYS[1], string.format('%.0f', now + ARGV[2] * 1000), ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 0
"""
