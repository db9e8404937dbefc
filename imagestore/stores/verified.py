"""Which files were compared with their hash a short while ago, so that several pictures of one original
cost one reading of it."""

import os
import threading
import time
from collections.abc import Callable

LIFE_S = 60
"""For so long a file that nobody has written to counts as verified. The sizes of a web page are asked for
within seconds; the bytes that were verified are in the kernel's memory then, where the decoder finds them."""

MAX_FILES = 10_000
"""Known at a time; together about 3 MB."""

_TICK_NS = 1_000_000_000
"""Much more than the kernel's clock for times of files ticks (10 ms at most): a write in the tick of the
last change cannot be told from it, so a file is not remembered before that is over (git calls it racy)."""


class Verified:
    """Remembers files of one store by what stat(2) says of them; safe to use from many threads.

    A write, a rename onto the name and a change of times all change `st_ctime` or `st_ino`, which no
    program can set. What decays on the disk under a file is noticed when its time is over.
    """

    def __init__(self, now_ns: Callable[[], int] = time.time_ns) -> None:
        self._now_ns = now_ns
        self._lock = threading.Lock()
        self._seen: dict[str, tuple[tuple[int, ...], int]] = {}

    def holds(self, sha256: str, found: os.stat_result) -> bool:
        """Whether this very file was noted less than `LIFE_S` seconds ago."""
        with self._lock:
            identity, noted_ns = self._seen.get(sha256, ((), 0))
        return identity == _identity(found) and 0 <= self._now_ns() - noted_ns < LIFE_S * 1_000_000_000

    def note(self, sha256: str, found: os.stat_result) -> None:
        """The file was read after `found` was taken, and has the bytes of its name."""
        now_ns = self._now_ns()
        if now_ns - found.st_ctime_ns < _TICK_NS:
            return
        with self._lock:
            self._seen.pop(sha256, None)
            if len(self._seen) >= MAX_FILES:
                del self._seen[next(iter(self._seen))]
            self._seen[sha256] = (_identity(found), now_ns)


def _identity(found: os.stat_result) -> tuple[int, ...]:
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
