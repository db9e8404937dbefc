"""Who goes first where processors are wanted: what is ready, before what is decoded.

nginx needs a hundredth of a picture's time to send it, so decoders step back. Niceness says so, but where the
kernel shares out processors by session first (sched(7), autogroup: most distributions), it counts among the
processes of one session alone, and nginx is in another one. There a session has a niceness itself. It can
be put back to 0 at any time, so that a decoder may also be of the class SCHED_IDLE, which nobody can leave:
others then wake on its processor as if nobody was there, instead of in line behind each other.
"""

import contextlib
import math
import os
from pathlib import Path

NICENESS = 7
"""nice(2): a fifth of the weight of others that want the same processor, as each step is 1.25 (sched(7))."""

SESSION_NICENESS = 13
"""The same of a session on one processor: an eighteenth."""

STARVED_S = 0.02
"""A task that waited longer than this for a processor, and longer than it had one, was starved."""

INSIST_AFTER_S, INSIST_EVERY_S = 0.75, 0.25
"""A task that has taken so long insists, and again so often: a load that never ends must not keep it from
ending in its time."""

_MOST = 19

_DOUBLE = 3
"""Steps of niceness that make twice the weight."""


def step_back() -> None:
    """For the calling process, which becomes a session of its own: the other half is done by `Session`."""
    os.nice(NICENESS)
    os.setsid()
    # A sandbox may forbid it.
    with contextlib.suppress(OSError):
        if shared_by_session():
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


def shared_by_session(root: Path = Path("/")) -> bool:
    """Whether autogroup is in effect for us: it is switched on, and no control group that we are in, of
    either version, has a share of its own (a container, a service beside one with `CPUWeight`)."""
    try:
        if (root / "proc/sys/kernel/sched_autogroup_enabled").read_text().strip() != "1":
            return False
        for line in (root / "proc/self/cgroup").read_text().splitlines():
            _, controllers, group = line.split(":", 2)
            if "cpu" in controllers.split(",") and group != "/":
                return False
            ours = root / "sys/fs/cgroup" / group.lstrip("/")
            if not controllers and any((each / "cpu.weight").exists() for each in (ours, *ours.parents)):
                return False
    except OSError:
        return False
    return True


class Turns:
    """How the threads of the calling process come by a processor from now on."""

    def __init__(self) -> None:
        self._began = _ran_and_waited_s()

    @property
    def starved(self) -> bool:
        """Whether they waited for most of the time that they could have run, since others were in their way.
        Waiting for a disk does not count; without the kernel's figures nothing does."""
        now, none = _ran_and_waited_s(), (0.0, 0.0)
        ran_s, waited_s = (
            sum(now[thread][which] - self._began.get(thread, none)[which] for thread in now)
            for which in (0, 1)
        )
        return waited_s > max(ran_s, STARVED_S)


def _ran_and_waited_s() -> dict[str, tuple[float, float]]:
    """By thread. Documentation/scheduler/sched-stats.rst of Linux, `/proc/<pid>/schedstat`."""
    seen = {}
    # A thread may end meanwhile; some kernels have no such file.
    with contextlib.suppress(OSError, ValueError):
        for thread in os.listdir("/proc/self/task"):
            with open(f"/proc/self/task/{thread}/schedstat", "rb") as file:
                ran, waited, _ = file.read().split()
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
