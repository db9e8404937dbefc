"""Several programs run as one: one log, and one end for all of them.

honcho prints the log; its Manager is not used, because it signals everybody at once, while Redis
has to outlive the programs that still write to it.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from honcho.colour import get_colours
from honcho.printer import Message, Printer


@dataclass(frozen=True, slots=True)
class Program:
    """What to run, and how to end it."""

    name: str
    command: Sequence[str]
    env: Mapping[str, str] = field(repr=False)
    """The whole environment. It may hold secrets."""
    stop_signal: signal.Signals = signal.SIGTERM
    grace_s: float = 3
    """Seconds that it gets to end by itself before it is killed."""


class Log:
    """One readable stream: each line with its time and the name of who wrote it."""

    def __init__(self, names: Sequence[str]) -> None:
        self._printer = Printer(sys.stdout, width=max(map(len, names)))
        self._colours = dict(zip(names, get_colours(), strict=False))
        self._lock = threading.Lock()

    def line(self, name: str, text: bytes | str) -> None:
        message = Message("line", text, datetime.now(), name, self._colours.get(name))
        # A reader of our log that went away (`make run | head`) is no reason to stop serving.
        with self._lock, contextlib.suppress(OSError):
            self._printer.write(message)

    def text(self, text: str) -> None:
        """Lines without time and name, to be copied from the terminal."""
        with self._lock, contextlib.suppress(OSError):
            print(text, flush=True)


class Supervisor:
    """Starts programs in order and ends them in the opposite order; nothing of them stays."""

    def __init__(
        self, programs: Sequence[Program], log: Log, *, cwd: Path, keep_open: Sequence[int] = ()
    ) -> None:
        """`keep_open`: file descriptors that the programs hold too, such as a lock that counts as
        taken as long as one of them is alive."""
        self._programs = programs
        self._log = log
        self._cwd = cwd
        self._keep_open = keep_open
        self._running: list[_Running] = []

    def start(self) -> None:
        for program in self._programs:
            self._running.append(_Running(program, self._log, self._cwd, self._keep_open))

    def ended(self) -> str | None:
        """A sentence about the first program that ended by itself; None while all are alive."""
        for running in self._running:
            outcome = running.outcome()
            if outcome is not None:
                return f"{running.program.name} {outcome}"
        return None

    def stop(self, hurry: Callable[[], bool] = lambda: False) -> None:
        """End all, the last started first. `hurry` turns true when nobody wants to wait any more."""
        for running in reversed(self._running):
            running.stop(hurry)
        self._running.clear()


class _Running:
    """A program's process, the leader of a process group of its own.

    Of its own, so that Ctrl-C in a terminal reaches only us, and so that its children can be found
    when it is gone: nginx's workers live on when their master is killed.
    """

    def __init__(self, program: Program, log: Log, cwd: Path, keep_open: Sequence[int]) -> None:
        self.program = program
        self._process = subprocess.Popen(  # noqa: S603  # the commands are those of dev/programs.py
            # When we are killed, so that we can end nobody, the kernel tells the program to end.
            ["/usr/bin/setpriv", "--pdeathsig", "TERM", "--", *program.command],
            env=dict(program.env),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=tuple(keep_open),
        )
        self._reader = threading.Thread(target=self._relay, args=(log,), daemon=True)
        self._reader.start()

    def _relay(self, log: Log) -> None:
        for line in self._process.stdout or ():
            log.line(self.program.name, line)

    def outcome(self) -> str | None:
        """How it ended, or None while it runs. It is not reaped yet, so that nobody else can get
        its process group's number."""
        state = os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if state is None:
            return None
        if state.si_code == os.CLD_EXITED:
            return f"ended by itself (exit status {state.si_status})"
        return f"was ended by {signal.Signals(state.si_status).name}"

    def stop(self, hurry: Callable[[], bool]) -> None:
        if self.outcome() is None:
            self._process.send_signal(self.program.stop_signal)
        deadline = time.monotonic() + self.program.grace_s
        while self.outcome() is None and time.monotonic() < deadline and not hurry():
            time.sleep(0.02)
        # Also after a good end: what it left behind goes with it.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._reader.join(1)
        if self._process.stdout is not None and not self._reader.is_alive():
            self._process.stdout.close()
