"""A few slots shared by all processes of one machine: how many renders run at once.

A slot is a file under an exclusive flock(2). The kernel drops the lock when its process dies, however
it dies, so no slot is ever lost. A fresh open per turn, since a lock belongs to an open file
description and two threads on one description would both be let in.
"""

import contextlib
import errno
import fcntl
import os
import select
import threading
import time
import weakref
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from imagestore.children.others import Others
from imagestore.errors import Overloaded
from imagestore.patience import waited_s

_RECHECK_S = 0.05
"""A slot whose holder was killed comes free without a word; waiters look again after so long."""


class Slots:
    """`count` slots in `folder`, which must be on a local file system, for every process that names it.

    Waiters of one process stand in one line, first come, first served; only its head competes with
    the heads of other processes, so that a free slot wakes one thread a process. The word that a
    slot is free goes round through a named pipe: waiting costs no polling, and a turn that need not
    wait costs an open and a flock (10 µs, measured 2026-11 on Linux 6.18). Beside a crowd of `others`
    some slots stay unused: as much work done, and it stands in their way on fewer processors.
    """

    def __init__(
        self, folder: Path, count: int, *, queue: int, timeout_s: float, others: Others | None = None
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._files = [folder / str(number) for number in range(count)]
        self._queue = queue
        self._others = others
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._line: deque[threading.Event] = deque()
        self._bell = _open_bell(folder / "bell")
        self._close = weakref.finalize(self, os.close, self._bell)

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """Hold one slot.

        Raises:
            Overloaded: `queue` threads of this process wait already, or no slot came free in
                `timeout_s` seconds, less what who asks has waited already (`patience`).
        """
        slot = self._take()
        try:
            yield
        finally:
            # Unlocked before it is closed: a fork of this process may hold the description open.
            fcntl.flock(slot, fcntl.LOCK_UN)
            os.close(slot)
            self._ring()

    def _take(self) -> int:
        place = threading.Event()
        with self._lock:
            if not self._line:
                slot = self._try()
                if slot is not None:
                    return slot
                place.set()
            if len(self._line) >= self._queue:
                raise Overloaded(f"{self._queue} pictures wait for a free processor already, try again soon")
            self._line.append(place)
        try:
            return self._wait(place, self._timeout_s - waited_s())
        finally:
            with self._lock:
                self._line.remove(place)
                if self._line:
                    self._line[0].set()

    def _wait(self, place: threading.Event, seconds: float) -> int:
        until = time.monotonic() + seconds
        if place.wait(max(0, until - time.monotonic())):
            bell = select.poll()
            bell.register(self._bell, select.POLLIN)
            while (left := until - time.monotonic()) > 0:
                slot = self._try()
                if slot is not None:
                    # What was read from the pipe may have told of two free slots; so below.
                    self._ring()
                    return slot
                bell.poll(min(left, _RECHECK_S) * 1000)
                self._hush()
            self._ring()
        raise Overloaded(f"no processor came free within {max(0, round(seconds, 1)):g} s, try again soon")

    def _try(self) -> int | None:
        count = len(self._files)
        for file in self._files[: self._others.leave(count) if self._others else count]:
            slot = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(slot, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                os.close(slot)
                if error.errno not in (errno.EWOULDBLOCK, errno.EINTR):
                    raise
            else:
                return slot
        return None

    def _ring(self) -> None:
        # A full pipe rings loudly enough.
        with contextlib.suppress(BlockingIOError):
            os.write(self._bell, b"!")

    def _hush(self) -> None:
        # Emptied before the slots are tried, so a slot that comes free after the try rings again.
        with contextlib.suppress(BlockingIOError):
            os.read(self._bell, 65536)


def _open_bell(path: Path) -> int:
    with contextlib.suppress(FileExistsError):
        os.mkfifo(path, 0o600)
    # Open for both directions, so that neither end is ever missing (Linux fifo(7)).
    return os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
