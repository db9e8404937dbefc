"""Locks with a life in Redis: of all processes one makes a thing, and one that was killed blocks the
others for seconds only."""

import contextlib
import secrets
import time
from collections.abc import Callable, Iterator, Sequence

from imagestore.flight import heartbeat

LIFE_S = 3
"""A holder that was killed blocks the others for this long at most."""

_LOOK_S = 0.02


class Leases:
    """Takes, renews and ends locks.

    `take` is given a key, a token and a life in milliseconds and says whether the lock is the token's
    now (also when Redis is away). `renew` is given the same; a life of 0 ends it.
    """

    def __init__(
        self, take: Callable[[str, str, int], bool], renew: Callable[[str, str, int], object]
    ) -> None:
        self._take = take
        self._renew = renew

    @contextlib.contextmanager
    def hold(self, key: str, *, patience_s: float) -> Iterator[None]:
        """Hold `key` for the block; without it when patience is over."""
        token = secrets.token_hex(8)
        deadline = time.monotonic() + patience_s
        while not self._take(key, token, LIFE_S * 1000) and time.monotonic() < deadline:
            time.sleep(_LOOK_S)
        with self._kept([key], token):
            yield

    @contextlib.contextmanager
    def hold_free(self, keys: Sequence[str]) -> Iterator[list[str]]:
        """Hold those of `keys` that nobody holds now, and give them."""
        token = secrets.token_hex(8)
        free = [key for key in keys if self._take(key, token, LIFE_S * 1000)]
        with self._kept(free, token):
            yield free

    @contextlib.contextmanager
    def hold_if_free(self, key: str) -> Iterator[bool]:
        """Hold `key` if nobody does now; gives whether."""
        with self.hold_free([key]) as held:
            yield bool(held)

    @contextlib.contextmanager
    def _kept(self, keys: Sequence[str], token: str) -> Iterator[None]:
        def renew(life_ms: int) -> None:
            for key in keys:
                self._renew(key, token, life_ms)

        try:
            with heartbeat(lambda: renew(LIFE_S * 1000), every_s=1):
                yield
        finally:
            renew(0)
