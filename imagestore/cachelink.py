"""The Redis of the cache, asked so that one that is away or hung costs little, and is never an error."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import redis

from imagestore.breaker import Breaker
from imagestore.cachewords import Setup, Usage
from imagestore.leases import Leases
from imagestore.redisclient import open_redis

_SCRIPTS = Path(__file__).parent / "scripts"


class CacheLink:
    """Connections to one Redis; safe to share between threads, and to inherit by a fork.

    `timeout_s` is for a connect and for each read. `leases` are locks in that Redis; while it is away,
    everybody gets them.
    """

    def __init__(self, url: str, *, timeout_s: float) -> None:
        self.redis = open_redis(url, timeout_s=timeout_s)
        self._answers = Breaker("cache")
        # A Redis at its memory bound refuses writes and still answers reads.
        self._writes = Breaker("room in the cache")
        renew = self.script("renew")
        self.leases = Leases(
            self._take,
            lambda keys, token, life_ms: self.ask(lambda: renew(keys=keys, args=[token, life_ms]), away=None),
        )

    def script(self, name: str) -> Callable[..., Any]:
        """The script of that name in `scripts/`, to be called with its keys and arguments."""
        script: Callable[..., Any] = self.redis.register_script((_SCRIPTS / f"{name}.lua").read_text())
        return script

    def ask(self, ask: Callable[[], Any], *, away: Any) -> Any:
        """The answer of Redis, or `away` when there is none."""
        if not self._answers.allows():
            return away
        try:
            answer = ask()
        except (redis.ConnectionError, redis.TimeoutError) as error:
            self._answers.failed(error)
            return away
        except redis.ResponseError as error:
            self._answers.succeeded()
            self._writes.failed(error)
            return away
        self._answers.succeeded()
        return answer

    def tell(self, tell: Callable[[], Any]) -> Any:
        """The answer to a write, or None when Redis is away or refuses writes."""
        if not self._writes.allows():
            return None
        answer = self.ask(tell, away=None)
        if answer is not None:
            self._writes.succeeded()
        return answer

    def take_and_look(
        self, lock: tuple[str, str, int], *looks: Callable[[Any], object]
    ) -> tuple[bool, Sequence[Any]]:
        """In one round trip: whether a lock (key, token, life in milliseconds) is the token's now, also when
        Redis is away or refuses writes; and the answers to some reads, each None when Redis is away."""
        key, token, life_ms = lock

        def ask() -> list[Any]:
            trip = self.redis.pipeline(transaction=False)
            trip.set(key, token, nx=True, px=life_ms)
            for look in looks:
                look(trip)
            answers: list[Any] = trip.execute(raise_on_error=False)
            for answer in answers[1:]:
                if isinstance(answer, redis.RedisError):
                    raise answer
            return answers

        taken, *seen = self.ask(ask, away=[True, *[None] * len(looks)])
        if isinstance(taken, redis.RedisError):
            self._writes.failed(taken)
            taken = True
        return bool(taken), seen

    def _take(self, keys: Sequence[str], token: str, life_ms: int) -> Sequence[bool]:
        def ask() -> list[bool]:
            trip = self.redis.pipeline(transaction=False)
            for key in keys:
                trip.set(key, token, nx=True, px=life_ms)
            return [bool(taken) for taken in trip.execute()]

        taken: list[bool] = self.ask(ask, away=[True] * len(keys))
        return taken

    def insist(self, tell: Callable[[], Any]) -> bool:
        """Whether a write arrived. It is tried twice, also while others have given up."""
        for last in (False, True):
            try:
                tell()
            except redis.RedisError as error:
                if last:
                    self._answers.failed(error)
            else:
                return True
        return False

    def check(self) -> bool:
        """Whether Redis answers, also while others have given up."""
        try:
            self.redis.ping()
        except redis.RedisError as error:
            self._answers.failed(error)
            return False
        self._answers.succeeded()
        return True

    def usage(self) -> Usage | None:
        """What Redis says about its memory; None when it is away."""
        told = self.ask(lambda: {**self.redis.info("memory"), **self.redis.info("stats")}, away=None)
        return told and Usage(
            told["used_memory"], told["maxmemory"], told["evicted_keys"], told["expired_keys"]
        )

    def setup(self) -> Setup | None:
        """How it is set up; None when it is away."""

        def ask() -> Setup:
            told = {**self.redis.info("memory"), **self.redis.info("persistence")}
            seconds, microseconds = self.redis.time()
            return Setup(
                policy=told["maxmemory_policy"],
                append_only=bool(told["aof_enabled"]),
                keys=self.redis.dbsize(),
                time=datetime.fromtimestamp(seconds + microseconds / 1e6, UTC),
            )

        found: Setup | None = self.ask(ask, away=None)
        return found

    def close(self) -> None:
        """Close the connections of this process."""
        self.redis.close()
