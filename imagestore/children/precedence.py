"""Who goes first where processors are wanted: what is ready, before what is decoded.

nginx needs a hundredth of a picture's time to send it, so decoders step back. Niceness says so, but where the
kernel shares out processors by session first (sched(7), autogroup: most distributions), it counts among the
processes of one session alone, and nginx is in another one. There a session has a niceness itself.
"""

import contextlib
import math
import os
from pathlib import Path

NICENESS = 7
"""nice(2): a fifth of the weight of others that want the same processor, as each step is 1.25 (sched(7))."""

INSIST_AFTER_S, INSIST_EVERY_S = 3.0, 0.5
"""A task that has taken so long insists, and again so often: a load that never ends must not keep it from
ending in its time."""

_MOST = 19

_DOUBLE = 3
"""Steps of niceness that make twice the weight."""


def step_back() -> None:
    """For the calling process, which becomes a session of its own: the other half is done by `Session`."""
    os.nice(NICENESS)
    os.setsid()


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
    """What gives a session that keeps one processor busy the weight that a process of NICENESS has beside
    those of a session that keeps all busy, and so has a part of its weight on each."""
    return min(_MOST, NICENESS + round(math.log(os.cpu_count() or 1, 1.25)))
