"""The decoders of a process: started when needed, kept for the next task, all ended with it.

A fresh one is a fork of 50 ms (measured 2026-11).
"""

import contextlib
import os
import shutil
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import replace
from fcntl import LOCK_EX, LOCK_NB, flock
from itertools import count
from pathlib import Path

from imagestore.children.decoder import Orders
from imagestore.children.process import GRACE_S, Decoder, NotTaken, StartMethod


class Decoders:
    """The decoders of this process, made by `orders` (whose `folder` is the place for all folders)."""

    def __init__(
        self, orders: Orders, *, max_tasks: int, environment: Mapping[str, str], start_method: StartMethod
    ) -> None:
        self._orders = orders
        self._start_method = start_method
        self._max_tasks = max_tasks
        self._environment = environment
        self._lock = threading.Lock()
        self._gone = threading.Condition(self._lock)
        self._idle: list[Decoder] = []
        self._all: set[Decoder] = set()
        self._closed = False
        self._folder, self._folder_lock = _own_folder(orders.folder)
        self._numbers = count(1)

    def take(self) -> Decoder:
        """The decoder that was used last, or a new one.

        Raises:
            NotTaken: it is closed.
        """
        with self._lock:
            if self._closed:
                raise NotTaken
            while self._idle:
                idle = self._idle.pop()
                if idle.usable:
                    return idle
                self._all.discard(idle)
                idle.end()
            orders = replace(self._orders, folder=self._folder / str(next(self._numbers)))
            fresh = Decoder(
                orders,
                max_tasks=self._max_tasks,
                environment=self._environment,
                start_method=self._start_method,
            )
            self._all.add(fresh)
            return fresh

    def give_back(self, used: Decoder, *, fit: bool) -> None:
        """Keep it for the next task, if it is fit for one."""
        with self._lock:
            if fit and not self._closed and used.usable:
                self._idle.append(used)
                return
        used.end()
        with self._gone:
            self._all.discard(used)
            self._gone.notify_all()

    def close(self) -> None:
        """Kill all, also those at work, whose askers give them back then."""
        with self._gone:
            if self._closed:
                return
            self._closed = True
            for each in self._all:
                each.kill()
            for each in self._idle:
                each.end()
            self._all.difference_update(self._idle)
            self._gone.wait_for(lambda: not self._all, GRACE_S)
            shutil.rmtree(self._folder, ignore_errors=True)
            os.close(self._folder_lock)


def _own_folder(scratch: Path) -> tuple[Path, int]:
    """A new folder in `scratch`, locked as long as this process lives; those of dead ones go."""
    scratch.mkdir(parents=True, exist_ok=True)
    for folder in scratch.iterdir():
        with contextlib.suppress(OSError):
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                flock(lock, LOCK_EX | LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(lock)
    while True:
        folder = Path(tempfile.mkdtemp(dir=scratch))
        try:
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            continue
        # A process that starts at this moment may have taken it for a dead one's.
        with contextlib.suppress(OSError):
            flock(lock, LOCK_EX | LOCK_NB)
            if os.fstat(lock).st_nlink:
                return folder, lock
        os.close(lock)
