"""Decoders as their parent sees them: started when needed, kept for the next task, killed when late.

The processes are Pebble's business: it starts them from a fork server, hands tasks over, kills one
that passes its time, and starts the next. Each decoder is a pool of one, so that whatever happens to
a process, at any moment, concerns its own pipe and lock and no other's; a pool that broke is left
for a new one (50 ms, measured 2026-11; a task on a warm one costs 0.4 ms more than a call).
"""

import contextlib
import multiprocessing
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import CancelledError, Future, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from fcntl import LOCK_EX, LOCK_NB, flock
from itertools import count
from multiprocessing import forkserver
from pathlib import Path
from typing import Any, Literal

from pebble import ProcessExpired, ProcessPool

from imagestore.children import decoder
from imagestore.children.decoder import Orders, Reply

StartMethod = Literal["forkserver", "fork"]
"""Where decoders come from: a fork server with a bare environment, or the process itself."""

START_TIMEOUT_S = 60.0
"""For the fork server to import its engines, on a machine that is busy with other things."""

GRACE_S = 3.0
"""What Pebble may need to see and to end a task that is late, before the pool itself is given up."""

POOL_CHECK_S = 0.25
"""How often a waiter looks whether the pool itself still lives."""

_PASSED_ON = ("PATH", "LANG", "LC_ALL", "TZ")
"""What decoders get of our environment: nothing with a secret in it."""

_environment_lock = threading.Lock()


class NotTaken(Exception):
    """The decoder ended before it had begun; another one may be asked."""


class Late(Exception):
    """The decoder passed the time limit and was killed."""


class Died(Exception):
    """The decoder ended in the middle of its task: exit code, or minus the signal."""

    def __init__(self, code: int) -> None:
        super().__init__(f"exit code {code}")
        self.code = code


class Decoder:
    """One process at a time; not for two threads at once."""

    def __init__(
        self, orders: Orders, *, max_tasks: int, environment: Mapping[str, str], start_method: StartMethod
    ) -> None:
        self._folder = orders.folder
        self._started = False
        self._stuck = False
        self._task: Future[Reply] | None = None
        if start_method == "forkserver":
            _start_fork_server(orders.engines, environment)
        self._pool = ProcessPool(
            max_workers=1,
            max_tasks=max_tasks,
            initializer=decoder.begin,
            initargs=(orders,),
            context=multiprocessing.get_context(start_method),
        )

    @property
    def usable(self) -> bool:
        """Whether it may be asked again."""
        return not self._stuck and bool(self._pool.active)

    def ask(self, task: str, arguments: Sequence[Any], timeout_s: float) -> Reply:
        """Give it one task and wait for the answer; the time counts from when the process has it.

        Raises:
            NotTaken, Late, Died: as they say.
        """
        patience_s = timeout_s + (GRACE_S if self._started else START_TIMEOUT_S)
        try:
            self._task = self._pool.schedule(decoder.answer, args=(task, arguments), timeout=timeout_s)
            reply = self._wait(self._task, time.monotonic() + patience_s)
        except TimeoutError as error:
            raise Late from error
        except ProcessExpired as error:
            raise Died(error.exitcode) from error
        except (BrokenProcessPool, CancelledError, RuntimeError) as error:
            raise NotTaken from error
        self._started = True
        return reply

    def _wait(self, task: Future[Reply], deadline: float) -> Reply:
        # A pool whose threads died in starting a process never finishes its task.
        while not wait([task], timeout=POOL_CHECK_S).done:
            if not self._pool.active:
                raise NotTaken
            if time.monotonic() > deadline:
                # Killed by somebody else in the moment between the task's arrival and its receipt.
                self._stuck = True
                raise TimeoutError
        return task.result()

    def end(self) -> threading.Thread:
        """Kill the process; a thread that waits for its answer gets `NotTaken`.

        Gives the thread that sees to it: some tenths of a second, far longer if the pool is broken.
        """
        self._pool.stop()
        if self._task is not None:
            self._task.cancel()
        ending = threading.Thread(target=self._join, name="end of a decoder", daemon=True)
        ending.start()
        return ending

    def _join(self) -> None:
        self._pool.join()
        shutil.rmtree(self._folder, ignore_errors=True)


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
            self._all.discard(used)
        used.end()

    def close(self) -> None:
        """Kill all, also those at work."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            deadline = time.monotonic() + GRACE_S
            for ending in [each.end() for each in self._all]:
                ending.join(max(0, deadline - time.monotonic()))
            shutil.rmtree(self._folder, ignore_errors=True)
            os.close(self._folder_lock)


def _start_fork_server(engines: Sequence[str], environment: Mapping[str, str]) -> None:
    """Start it, if it does not run: with a bare environment, and the engines imported but never used.

    It inherits what the environment is at its start, and decoders are forks of it. `environment`
    stays in ours as well, for the case that Pebble has to start a new one.
    """
    with _environment_lock:
        os.environ.update(environment)
        ours = dict(os.environ)
        bare = {name: ours[name] for name in (*_PASSED_ON, *environment) if name in ours}
        forkserver.set_forkserver_preload(["imagestore.children.decoder", *engines])
        try:
            os.environ.clear()
            os.environ.update(bare)
            forkserver.ensure_running()
        finally:
            os.environ.clear()
            os.environ.update(ours)


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
