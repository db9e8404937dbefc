"""How often each caller may ask, counted in Redis over all processes of the API.

The count is a moment that each request moves on by one interval (the generic cell rate algorithm,
ITU-T I.371): a caller who is steady is never refused, and one who was quiet may catch up.
"""

import math
import threading
import time

import redis

from imagestore.breaker import Breaker
from imagestore.redisclient import open_redis

BURST_S = 2
"""So many seconds' worth of requests may come at once."""

CALLERS = 10_000
"""Callers that one process counts by itself while Redis is away."""


class KeyLimits:
    """`rate` requests a second for each caller, with bursts of two seconds' worth; 0 is no limit.

    While Redis is away each process counts by itself: with n processes a caller may then ask up to n
    times as often, but never as often as it will. One round trip a request.
    """

    def __init__(self, url: str, *, rate: float, timeout_s: float = 0.1) -> None:
        self._redis = open_redis(url, timeout_s=timeout_s)
        self._interval_us = 1e6 / rate if rate else 0.0
        self._take = self._redis.register_script(_TAKE)
        self._link = Breaker("count of requests")
        self._own: dict[str, float] = {}
        self._lock = threading.Lock()

    def take(self, caller: str) -> float:
        """Count one request; 0 if it may go on, else the seconds after which the next one may."""
        if not self._interval_us:
            return 0
        if self._link.allows():
            try:
                wait_us = int(
                    self._take(keys=[f"calls:{caller}"], args=[self._interval_us, BURST_S * 1_000_000])
                )
            except redis.RedisError as error:
                self._link.failed(error)
            else:
                self._link.succeeded()
                return wait_us / 1e6
        return self._take_alone(caller)

    def close(self) -> None:
        """Close the connections of this process."""
        self._redis.close()

    def _take_alone(self, caller: str) -> float:
        with self._lock:
            now = time.monotonic() * 1e6
            if len(self._own) >= CALLERS:
                # Whose moment has passed is as good as unknown.
                self._own = {name: moment for name, moment in self._own.items() if moment > now}
            moment = max(self._own.get(caller, 0), now)
            early_us = moment - max(BURST_S * 1_000_000 - self._interval_us, 0) - now
            if early_us > 0:
                return math.ceil(early_us) / 1e6
            self._own[caller] = moment + self._interval_us
            return 0


# Times are microseconds by the clock of Redis.
_TAKE = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local interval, burst = tonumber(ARGV[1]), tonumber(ARGV[2])
local moment = math.max(tonumber(redis.call('GET', KEYS[1]) or 0), now)
local early = moment - math.max(burst - interval, 0) - now
if early > 0 then return math.ceil(early) end
local life_ms = math.ceil((burst + interval) / 1000) + 1000
redis.call('SET', KEYS[1], string.format('%.0f', moment + interval), 'PX', life_ms)
return 0
"""
