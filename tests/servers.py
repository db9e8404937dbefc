"""Real servers for the tests: each on a free loopback port, owned and ended by the test run.

Every server is a context manager; what it started is gone when it ends, also after a failure.
A server that cannot be started because its program is not installed skips on a laptop and fails
in CI (`CI=true`), so that a missing package never looks like a green run.
"""

import contextlib
import itertools
import os
import random
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import redis

ROOT = Path(__file__).resolve().parent.parent


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on now, and that no connection takes meanwhile.

    Below 32768, where Linux hands out no ports of its own accord. Each of several pytest processes
    (pytest-xdist) has its own thousands, and never the same port twice in a round of them.
    """
    for _ in range(_PORTS):
        port = next(_ports)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise RuntimeError("no port is free")


_PORTS = 3000


def _round_of_ports() -> Iterator[int]:
    process = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    first = 11_000 + process % 7 * _PORTS
    start = random.randrange(_PORTS)
    return (first + (start + n) % _PORTS for n in itertools.count())


_ports = _round_of_ports()


def wait_until(
    condition: Callable[[], bool], *, what: str, timeout_s: float = 20, every_s: float = 0.02
) -> None:
    """Poll `condition` until it holds; fail with `what` after `timeout_s` seconds."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not happen within {timeout_s} s")
        time.sleep(every_s)


def listening(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.2)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def program(name: str, *more_places: str) -> str:
    """The full path of an installed program; skips on a laptop and fails in CI when it is missing."""
    found = shutil.which(name, path=os.pathsep.join([os.environ["PATH"], "/usr/sbin", *more_places]))
    if found is None:
        if os.environ.get("CI"):
            pytest.fail(f"{name} is not installed; run `make install`")
        pytest.skip(f"{name} is not installed; run `make install`")
    return found


@dataclass
class Server:
    """A running child process with its log; `stop`, `kill`, `pause` and `start` again at will."""

    command: Sequence[str]
    port: int
    log: Path
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: Path = ROOT
    process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Of the process that runs.

        Raises:
            RuntimeError: none does.
        """
        if self.process is None:
            raise RuntimeError(f"{self.command[0]} does not run")
        return self.process.pid

    def start(self, *, timeout_s: float = 30) -> "Server":
        """Start it and wait until its port accepts connections."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                cwd=self.cwd,
                env={**os.environ, **self.env},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            wait_until(self._up, what=f"{self.command[0]} on port {self.port}", timeout_s=timeout_s)
        except (TimeoutError, RuntimeError):
            self.kill()
            raise
        return self

    def _up(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            raise RuntimeError(f"{self.command[0]} ended at once:\n{self.log.read_text()[-3000:]}")
        return listening(self.port)

    def stop(self, *, timeout_s: float = 15) -> None:
        """SIGTERM, then SIGKILL after `timeout_s`; nothing of its process group stays."""
        if self.process is None:
            return
        self._signal(signal.SIGCONT)
        self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout_s)
        self.kill()

    def kill(self) -> None:
        """SIGKILL to the whole process group, as a power cut would."""
        if self.process is not None:
            self._signal(signal.SIGKILL)
            self.process.wait(10)
            self.process = None

    def pause(self) -> None:
        """SIGSTOP: it still accepts connections and never answers."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)


@contextlib.contextmanager
def redis_server(folder: Path, *options: str, password: str | None = None) -> Iterator[Server]:
    """A Redis with AOF in `folder`, as `REDIS_URL=redis://127.0.0.1:<port>/0`."""
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    command = [program("redis-server"), "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder)]
    command += ["--appendonly", "yes", "--save", "", *options]
    server = Server(command, port, folder / "redis.log").start()
    try:
        with redis.Redis(port=port, password=password) as client:
            wait_until(lambda: bool(client.ping()), what="redis answers")
        yield server
    finally:
        server.stop()
