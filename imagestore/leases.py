"""Locks with a life in Redis: of all processes one makes a thing, and one that was killed blocks the
others for seconds only."""

import contextlib
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from imagestore.flight import heartbeat

LIFE_S = 3
"""A holder that was killed blocks the others for this long at most."""

_LOOK_S = 0.02


@dataclass
class Lease:
    """A lock that is held, by the token in it; `ended` by who has ended it already."""

    key: str
    token: str
    ended: bool = False


class Leases:
    """Takes, renews and ends locks.

    `take` is given keys, a token and a life in milliseconds, and says of each whether it is the token's now
    (also when Redis is away). `renew` is given the same; a life of 0 ends the locks.
    """

    def __init__(
        self,
        take: Callable[[Sequence[str], str, int], Sequence[bool]],
        renew: Callable[[Sequence[str], str, int], object],
    ) -> None:
        self._take = take
        self._renew = renew

    @contextlib.contextmanager
    def hold(self, key: str, *, patience_s: float, take: Callable[[str, str, int], bool]) -> Iterator[Lease]:
        """Hold `key` for the block, or go on without it when patience is over. `take`, for this key alone,
        may do more than the general one, and say yes too where there is nothing left to wait for."""
        lease = Lease(key, secrets.token_hex(8))
        deadline = time.monotonic() + patience_s
        while not take(key, lease.token, LIFE_S * 1000) and time.monotonic() < deadline:
            time.sleep(_LOOK_S)
        with self._kept([lease]):
            yield lease

    @contextlib.contextmanager
    def hold_free(self, keys: Sequence[str]) -> Iterator[list[Lease]]:
        """Hold those of `keys` that nobody holds now."""
        token = secrets.token_hex(8)
        taken = self._take(keys, token, LIFE_S * 1000) if keys else []
        leases = [Lease(key, token) for key, ours in zip(keys, taken, strict=True) if ours]
        with self._kept(leases):
            yield leases

    @contextlib.contextmanager
    def hold_if_free(self, key: str) -> Iterator[bool]:
        """Hold `key` if nobody does now; gives whether."""
        with self.hold_free([key]) as held:
            yield bool(held)

    @contextlib.contextmanager
    def _kept(self, leases: Sequence[Lease]) -> Iterator[None]:
        """All of one token."""

        def renew(life_ms: int) -> None:
            if held := [lease for lease in leases if not lease.ended]:
                self._renew([lease.key for lease in held], held[0].token, life_ms)

        try:
            with heartbeat(lambda: renew(LIFE_S * 1000), every_s=1):
                yield
        finally:
            renew(0)
