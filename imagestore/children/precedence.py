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

SESSION_NICENESS, FAR_NICENESS = 7, 16
"""The same of a session on one processor, and a thirty-fifth before a crowd."""

PASS_S = 0.02
"""How long a task waits before a crowd (`Others`). Linux wakes nginx and its clients on one processor while
decoders keep the other busy, however little weight they have; an idle one parts them. On two cores (2026-11)
a decoder that never pauses takes 0.3 of them beside hot pictures (median of eight rounds), and 0.14 so."""

INSIST_AFTER_S, INSIST_EVERY_S = 1.0, 0.25
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

    def give_way(self, *, far: bool) -> None:
        """Before a task; `far` before a crowd, which passes first."""
        self._set(session_niceness(far=far))
        if far:
            time.sleep(PASS_S)

    def insist(self) -> None:
        """In one that takes long: twice the weight of now, until it is that of others."""
        self._set(max(0, self._niceness - _DOUBLE))

    def _set(self, niceness: int) -> None:
        if niceness != self._niceness:
            with contextlib.suppress(OSError):
                self._place.write_text(str(niceness))
                self._niceness = niceness


def session_niceness(*, far: bool) -> int:
    """What gives a session that keeps one processor busy the weight of its niceness beside one that keeps all
    busy, and so has a part of its weight on each."""
    niceness = FAR_NICENESS if far else SESSION_NICENESS
    return min(_MOST, niceness + round(math.log(os.cpu_count() or 1, 1.25)))
