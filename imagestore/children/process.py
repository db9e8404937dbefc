"""One decoder as its parent sees it: started when it is first asked, asked one thing at a time, killed
when it is late.

The parent waits at a pipe that nobody but the decoder holds the other end of, so that a decoder that
ends at any moment, its start and the middle of an answer among them, is seen to end at that moment.
"""

import contextlib
import math
import multiprocessing
import os
import shutil
import signal
import socket
import struct
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from multiprocessing import forkserver
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Literal

from imagestore.children import decoder
from imagestore.children.decoder import Orders, Reply
from imagestore.children.precedence import INSIST_AFTER_S, INSIST_EVERY_S, Session

StartMethod = Literal["forkserver", "fork"]
"""Where decoders come from: a fork server with a bare environment, or the process itself."""

START_TIMEOUT_S = 60.0
"""For the fork server to import its engines, on a machine that is busy with other things."""

GRACE_S = 3.0
"""For a decoder to go on with a message that it is in the middle of, and to be gone once it was killed."""

_LOST = 255
"""What `multiprocessing` gives as the exit code of a process whose fork server is gone."""

_PASSED_ON = ("PATH", "LANG", "LC_ALL", "TZ")
"""What decoders get of our environment: nothing with a secret in it."""

_family = threading.Lock()
"""Held while a decoder is started, killed, or asked for its exit code: `multiprocessing` looks at all of
its children whenever it starts one, an exit code can be read but once, and a fork must not inherit
the end of another decoder's pipe."""


class NotTaken(Exception):
    """The decoder ended before it had begun; another one may be asked."""


class Late(Exception):
    """The decoder passed the time limit."""


class Died(Exception):
    """The decoder ended in the middle of its task: exit code, or minus the signal."""

    def __init__(self, code: int) -> None:
        super().__init__(f"exit code {code}")
        self.code = code


class Decoder:
    """One process, for up to `max_tasks` tasks; not for two threads at once, but for `kill`."""

    def __init__(
        self, orders: Orders, *, max_tasks: int, environment: Mapping[str, str], start_method: StartMethod
    ) -> None:
        self._orders = orders
        self._tasks_left = max_tasks
        self._environment = environment
        self._start_method = start_method
        self._started: _Started | None = None
        self._spent = False

    @property
    def usable(self) -> bool:
        """Whether it may be asked again."""
        return not self._spent and self._tasks_left > 0 and not (self._started and self._started.has_ended)

    def ask(self, task: str, arguments: Sequence[Any], timeout_s: float, *, far: bool) -> Reply:
        """Give it one task and wait for the answer. After an error it is of no more use. `far` as `Session`.

        Raises:
            NotTaken, Late, Died: as they say.
        """
        self._tasks_left -= 1
        try:
            started = self._started or self._start()
            started.session.give_way(far=far)
            try:
                started.pipe.send((task, arguments))
            except OSError as error:
                raise NotTaken from error
            return _answer(started, timeout_s)
        except BaseException:
            self._spent = True
            raise

    def kill(self) -> None:
        """Kill the process, from any thread; one that waits for its answer gets `Died` or `NotTaken`."""
        self._spent = True
        if self._started:
            self._started.kill()

    def end(self) -> None:
        """Kill the process and clear up after it; nobody asks it any more."""
        self.kill()
        if self._started:
            self._started.bury()
        shutil.rmtree(self._orders.folder, ignore_errors=True)

    def _start(self) -> "_Started":
        """Start the process and wait until it is ready.

        Raises:
            NotTaken
        """
        if self._start_method == "forkserver":
            _start_fork_server(self._orders.engines, self._environment)
        context: Any = multiprocessing.get_context(self._start_method)
        with _family:
            ours, theirs = context.Pipe()
            _limit_stalls(ours)
            process = context.Process(target=decoder.serve, args=(self._orders, theirs), daemon=True)
            try:
                process.start()
            except (OSError, EOFError) as error:
                # The fork server was killed in this moment.
                ours.close()
                raise NotTaken from error
            finally:
                theirs.close()
        self._started = _Started(process, ours, Session(process.pid))
        try:
            if self._spent:
                raise NotTaken
            _receive(self._started, START_TIMEOUT_S)
        except (Late, Died) as error:
            raise NotTaken from error
        return self._started


@dataclass(frozen=True)
class _Started:
    """A process and our end of its pipe."""

    process: BaseProcess
    pipe: Connection
    session: Session

    @property
    def has_ended(self) -> bool:
        return bool(wait([self.process.sentinel], 0))

    def kill(self) -> None:
        with _family, contextlib.suppress(ValueError):  # it is buried already
            if not self.has_ended:
                self.process.kill()

    def bury(self) -> None:
        """Let go of what there is of a process that was killed."""
        self.exit_code()
        self.pipe.close()
        with _family, contextlib.suppress(ValueError):  # it is not gone yet, which is the kernel's business
            self.process.close()

    def exit_code(self) -> int:
        """Of a process that was killed or has closed its pipe."""
        if not wait([self.process.sentinel], GRACE_S):
            self.kill()
        with _family:
            self.process.join(GRACE_S)
            code = self.process.exitcode
        return -signal.SIGKILL if code is None or code == _LOST else code


def _answer(started: _Started, timeout_s: float) -> Reply:
    """Raises:
    Late, Died
    """
    until = time.monotonic() + timeout_s
    patience_s = INSIST_AFTER_S
    with contextlib.suppress(OSError):  # told below
        while patience_s < until - time.monotonic() and not started.pipe.poll(patience_s):
            started.session.insist()
            patience_s = INSIST_EVERY_S
    return _receive(started, until - time.monotonic())


def _receive(started: _Started, timeout_s: float) -> Reply:
    """Raises:
    Late, Died
    """
    try:
        if not started.pipe.poll(max(0, timeout_s)):
            raise Late
        reply: Reply = started.pipe.recv()
    except BlockingIOError:
        raise Late from None
    except (OSError, EOFError) as error:
        raise Died(started.exit_code()) from error
    return reply


def _start_fork_server(engines: Sequence[str], environment: Mapping[str, str]) -> None:
    """Start it, if it does not run: with a bare environment, and the engines imported but never used.

    It inherits what the environment is at its start, and decoders are forks of it.
    """
    with _family:
        ours = dict(os.environ)
        bare = {name: ours[name] for name in _PASSED_ON if name in ours}
        forkserver.set_forkserver_preload(["imagestore.children.decoder", *engines])
        try:
            os.environ.clear()
            os.environ.update(bare | dict(environment))
            forkserver.ensure_running()
        finally:
            os.environ.clear()
            os.environ.update(ours)


def _limit_stalls(pipe: Connection) -> None:
    """A message that does not go on for `GRACE_S` is an error: its reader or its writer was stopped."""
    fraction_s, whole_s = math.modf(GRACE_S)
    timeval = struct.pack("@ll", int(whole_s), int(fraction_s * 1e6))
    with socket.socket(fileno=os.dup(pipe.fileno())) as shared:
        for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            shared.setsockopt(socket.SOL_SOCKET, option, timeval)
