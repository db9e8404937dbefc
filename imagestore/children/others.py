"""Who else wants the machine's processors: all that has not stepped back (`precedence`)."""

import math
import os
import threading
import time
from pathlib import Path

_EVERY_S, _OLD_S = 0.25, 1.0
"""Between two looks, and when the last one is too old to say what is now. The kernel counts in hundredths of
a second for each processor."""

_CROWD, _IDLE = 0.45, 0.05
"""Others that take more than this part of all processors are a crowd, if no more than that is idle. Measured
on two cores (2026-11): what asks decoders that are alone on the machine, and sends their pictures, takes up
to 0.54 for small ones, beside 0.06 or more that is idle, and 0.3 for large ones. Hot pictures take all that
they get: 0.45 to 0.6 where the kernel puts nginx and its clients on one processor, a decoder on the other."""

_COLUMNS, _NICE, _IDLE_COLUMNS = 8, 1, (3, 4)
"""Of `/proc/stat` (proc_stat(5)). Decoders are what is nice. Who waits for a disk leaves a processor idle."""

_STAT = Path("/proc/stat")


class Others:
    """What they took of the processors between the last two looks. May be asked from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._looked = time.monotonic()
        self._ticks = _read()
        self._share = 0.0

    @property
    def are_a_crowd(self) -> bool:
        """Whether they take most of the machine, and nothing is left over."""
        return self._crowd() > 0

    def leave(self, count: int) -> int:
        """How many of `count` decoders are enough for the processors that a crowd leaves, at least one. All
        of them without a crowd, or without the kernel's figures."""
        crowd = self._crowd()
        left = math.ceil((os.cpu_count() or 1) * (1 - crowd)) if crowd else count
        return max(1, min(count, left))

    def _crowd(self) -> float:
        """Their part of all processors, or 0 if they are no crowd."""
        with self._lock:
            age_s = time.monotonic() - self._looked
            if age_s >= _EVERY_S:
                before, self._ticks, self._looked = self._ticks, _read(), time.monotonic()
                self._share = _taken_by_a_crowd(before, self._ticks) if age_s < _OLD_S else 0.0
            return self._share


def _taken_by_a_crowd(before: list[int], now: list[int]) -> float:
    ticks = [later - earlier for later, earlier in zip(now, before, strict=False)]
    whole = sum(ticks)
    if whole <= 0:
        return 0.0
    idle = sum(ticks[column] for column in _IDLE_COLUMNS) / whole
    share = 1 - idle - ticks[_NICE] / whole
    return share if share > _CROWD and idle <= _IDLE else 0.0


def _read() -> list[int]:
    """Of all processors together, since the machine was started. Empty where there are no such figures."""
    try:
        with _STAT.open("rb") as file:
            ticks = [int(word) for word in file.readline().split()[1 : 1 + _COLUMNS]]
    except (OSError, ValueError):
        return []
    return ticks if len(ticks) == _COLUMNS else []
