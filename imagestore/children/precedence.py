"""Who goes first where processors are wanted: what is ready, before what is decoded.

nginx needs a hundredth of a picture's time to send it, so decoders step back. Niceness says so, but where the
kernel shares out processors by session first (sched(7), autogroup: most distributions), it counts among the
processes of one session alone, and nginx is in another one. There a session has a niceness itself.
"""

import contextlib
import math
import os
import time
from pathlib import Path

NICENESS = 7
"""nice(2): a fifth of the weight of others that want the same processor, as each step is 1.25 (sched(7))."""

SESSION_NICENESS = 16
"""The same of a session on one processor: a thirty-fifth."""

STARVED_S, STARVED_TIMES = 0.1, 2
"""A task that waited longer than this for a processor, and so many times longer than it had one, was starved.
Decoders that have the machine to themselves wait about as long as they work, where the kernel puts two on
one processor."""

_BUSY = 0.1
"""Up to this part of them idle, processors count as busy; where hits keep them busy it is a fiftieth."""

INSIST_AFTER_S, INSIST_EVERY_S = 1.0, 0.25
"""A task that has taken so long insists, and again so often: a load that never ends must not keep it from
ending in its time."""

_THREADS = Path("/proc/self/task")

_MOST = 19

_DOUBLE = 3
"""Steps of niceness that make twice the weight."""


def step_back() -> None:
    """For the calling process, which becomes a session of its own: the other half is done by `Session`."""
    os.nice(NICENESS)
    os.setsid()


class Turns:
    """How the threads of the calling process come by a processor from now on."""

    def __init__(self) -> None:
        self._began = _ran_and_waited_s()
        self._began_s, self._began_idle_s = time.monotonic(), _idle_s()

    @property
    def starved(self) -> bool:
        """Whether they waited for most of the time that they could have run, since others were in their way.
        Waiting for a disk does not count, nor beside a processor that is idle: the kernel is in no hurry to
        move what has little weight. Without its figures nothing counts."""
        processors_s = (time.monotonic() - self._began_s) * (os.cpu_count() or 1)
        if _idle_s() - self._began_idle_s > _BUSY * processors_s:
            return False
        now, none = _ran_and_waited_s(), (0.0, 0.0)
        ran_s, waited_s = (
            sum(now[thread][which] - self._began.get(thread, none)[which] for thread in now)
            for which in (0, 1)
        )
        return waited_s > max(STARVED_TIMES * ran_s, STARVED_S)


def _idle_s() -> float:
    """All processors together, since the machine was started: `/proc/uptime` (proc(5)), to hundredths."""
    try:
        return float(Path("/proc/uptime").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return 0.0


def _ran_and_waited_s() -> dict[str, tuple[float, float]]:
    """By thread. Documentation/scheduler/sched-stats.rst of Linux, `/proc/<pid>/schedstat`."""
    seen = {}
    for thread in os.listdir(_THREADS):
        # It may end meanwhile, and must not hide the others, whose whole life would count then.
        # Some kernels have no such file.
        with contextlib.suppress(OSError, ValueError):
            ran, waited, _ = (_THREADS / thread / "schedstat").read_bytes().split()
            seen[thread] = int(ran) / 1e9, int(waited) / 1e9
    return seen


class Session:
    """The session of a process that has stepped back. The kernel takes no two wishes within a tenth of a
    second, whoever has them: what it did not take, the next call says again."""

    def __init__(self, leader: int) -> None:
        self._place = Path(f"/proc/{leader}/autogroup")
        self._niceness = 0
        self._least = session_niceness()

    def give_way(self) -> None:
        """Before a task."""
        self._set(self._least)

    def insist(self) -> None:
        """In one that takes long: twice the weight of now, until it is that of others."""
        self._set(max(0, self._niceness - _DOUBLE))

    def _set(self, niceness: int) -> None:
        if niceness != self._niceness:
            with contextlib.suppress(OSError):
                self._place.write_text(str(niceness))
                self._niceness = niceness


def session_niceness() -> int:
    """What gives a session that keeps one processor busy the weight of SESSION_NICENESS beside one that keeps
    all busy, and so has a part of its weight on each."""
    return min(_MOST, SESSION_NICENESS + round(math.log(os.cpu_count() or 1, 1.25)))
