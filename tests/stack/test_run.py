"""`make run`, as a person at a terminal sees it: real processes, the printed commands, Ctrl-C."""

import contextlib
import http.client
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import pyvips

from tests.servers import ROOT, free_port, program, redis_server, wait_until

PROGRAMS = ("api", "worker", "nginx", "redis")
SAMPLE = ROOT / "docs" / "sample.jpg"


@dataclass
class Run:
    """A running `python -m dev.run`, in a process group of its own as a terminal would give it."""

    process: subprocess.Popen[bytes]
    port: int
    data_dir: Path
    log_file: Path

    @property
    def log(self) -> str:
        return self.log_file.read_text()

    def ready(self) -> bool:
        if self.process.poll() is not None:
            raise RuntimeError(f"dev.run ended with {self.process.returncode}:\n{self.log[-3000:]}")
        return "Ready: " in self.log

    def descendants(self) -> set[int]:
        """Every process that comes from this one, now."""
        parents = _parents()
        found = {self.process.pid}
        while more := {child for child, parent in parents.items() if parent in found} - found:
            found |= more
        return found - {self.process.pid}

    def leader(self, name: str) -> int:
        """The process id of one of the programs that it started itself."""
        patterns = {
            "api": "api.app",
            "worker": "-m worker",
            "nginx": "nginx: master",
            "redis": "redis-server",
        }
        children = [pid for pid, parent in _parents().items() if parent == self.process.pid]
        (leader,) = [pid for pid in children if patterns[name] in _command(pid)]
        return leader

    def interrupt(self) -> int:
        """Ctrl-C; the exit status."""
        os.killpg(self.process.pid, signal.SIGINT)
        return self.process.wait(15)

    def get(self, path: str) -> tuple[int, bytes]:
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)) as connection:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read()

    def use(self, folder: Path) -> None:
        """Does what the banner says, so that every kind of process has had work."""
        for command in self.printed_commands():
            subprocess.run(
                ["sh", "-c", command], cwd=folder, env=environment(), capture_output=True, check=True
            )

    def printed_commands(self) -> list[str]:
        return re.findall(r"^  (curl .*)$", self.log, re.MULTILINE)


def _parents() -> dict[int, int]:
    """Parent of each process that is alive; one that only waits to be reaped is not."""
    parents = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            # proc(5): the name is in brackets and may hold blanks; state and parent follow.
            state, parent = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
            if state != "Z":
                parents[int(folder.name)] = int(parent)
    return parents


def _command(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    return ""


def environment(**variables: str) -> dict[str, str]:
    """What this test run has, without settings of its own, and `variables`."""
    settings = ("API_KEY", "DATABASE_URL", "REDIS_URL", "STORAGE_URL", "DATA_DIR", "PORT")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(settings)}
    return kept | variables


def start(data_dir: Path, *, repository: Path = ROOT, port: int | None = None, **variables: str) -> Run:
    """Starts it and waits for the banner."""
    port = port or free_port()
    log_file = data_dir.parent / f"{data_dir.name}-{time.monotonic_ns()}.log"
    with log_file.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "dev.run"],
            cwd=repository,
            env=environment(DATA_DIR=str(data_dir), PORT=str(port), **variables),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    run = Run(process, port, data_dir, log_file)
    try:
        wait_until(run.ready, what="the banner", timeout_s=60)
    except BaseException:
        process.terminate()
        process.wait(20)
        raise
    return run


@pytest.fixture(autouse=True, scope="module")
def _programs() -> None:
    for name in ("nginx", "redis-server", "curl"):
        program(name)


Starter = Callable[..., Run]


@pytest.fixture
def starter() -> Iterator[Starter]:
    """`start`, and the end of whatever a failed test left running."""
    runs = []

    def start_and_remember(data_dir: Path, **options: str) -> Run:
        runs.append(start(data_dir, **options))  # type: ignore[arg-type]  # ports and paths have no defaults here
        return runs[-1]

    yield start_and_remember
    for run in runs:
        run.process.terminate()
        run.process.wait(20)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """One run for the tests that leave it as it is; both paths hold blanks."""
    folder = tmp_path_factory.mktemp("with blanks")
    repository = folder / "my checkout"
    for part in ("api", "dev", "docs", "imagestore", "nginx", "worker"):
        if (ROOT / part).exists():
            shutil.copytree(ROOT / part, repository / part)
    run = start(repository / "my data", repository=repository)
    yield run
    run.process.terminate()
    run.process.wait(20)


def refused(env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Runs it to its end, which is to come before anything is started."""
    return subprocess.run(
        [sys.executable, "-m", "dev.run"],
        cwd=ROOT,
        env=dict(env),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_printed_commands_store_and_fetch_a_picture(shared: Run, tmp_path: Path) -> None:
    upload, fetch = shared.printed_commands()

    stored = subprocess.run(
        ["sh", "-c", upload], cwd=tmp_path, env=environment(), capture_output=True, check=True
    )
    subprocess.run(["sh", "-c", fetch], cwd=tmp_path, env=environment(), capture_output=True, check=True)

    assert b'"id"' in stored.stdout
    assert shared.get("/demo/sample.jpg") == (200, SAMPLE.read_bytes())
    assert pyvips.Image.new_from_file(str(tmp_path / "thumb.jpg")).width == 300


def test_printed_console_answers(shared: Run) -> None:
    (path,) = re.findall(rf"^Console: http://127\.0\.0\.1:{shared.port}(\S+) ", shared.log, re.MULTILINE)

    status, body = shared.get(path)

    assert status == 200
    assert b"<title>" in body


def test_api_key_is_private_and_never_printed(shared: Run) -> None:
    path = shared.data_dir / "api-key"

    secret = path.read_text().strip()

    assert len(secret) == 43  # 32 random bytes in base64
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert secret not in shared.log


def test_second_copy_on_the_same_data_is_refused(shared: Run) -> None:
    answer = refused(environment(DATA_DIR=str(shared.data_dir), PORT=str(free_port())))

    assert answer.returncode == 2
    assert answer.stderr.count("\n") == 1
    assert f"process {shared.process.pid} runs on it already" in answer.stderr
    assert shared.get("/health/ready")[0] == 200


def test_busy_port_is_refused_with_one_that_is_free(tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        # The next port is taken too; not all that are free have such a neighbour.
        port = next(port for _ in range(50) if (port := taken_with_its_neighbour(stack)))

        answer = refused(environment(DATA_DIR=str(tmp_path / "data"), PORT=str(port)))

    assert answer.returncode == 2
    assert answer.stderr.count("\n") == 1
    said = re.search(rf"port {port} is busy; choose another: PORT=(\d+) make run$", answer.stderr.rstrip())
    assert said
    assert int(said[1]) > port + 1
    with socket.create_server(("127.0.0.1", int(said[1]))):
        pass


def taken_with_its_neighbour(stack: contextlib.ExitStack) -> int | None:
    """A port that is held now, as the one behind it is; None if that one was not free."""
    first = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
    port = int(first.getsockname()[1])
    try:
        stack.enter_context(socket.create_server(("127.0.0.1", port + 1)))
    except (OSError, OverflowError):
        return None
    return port


def test_wrong_settings_are_named_all_together(tmp_path: Path) -> None:
    wrong = environment(DATA_DIR=str(tmp_path / "data"), PORT="http", JPEG_QUALITY="0", IMAGE_ENGINE="gimp")

    answer = refused(wrong)

    assert answer.returncode == 2
    for line in ("PORT is 'http'", "JPEG_QUALITY is '0'", "IMAGE_ENGINE is 'gimp'"):
        assert line in answer.stderr
    assert not (tmp_path / "data").exists()


def test_ctrl_c_leaves_nothing_and_the_next_start_has_the_data(tmp_path: Path, starter: Starter) -> None:
    first = starter(tmp_path / "data")
    subprocess.run(
        ["sh", "-c", first.printed_commands()[0]], env=environment(), capture_output=True, check=True
    )
    processes, secret = first.descendants(), (tmp_path / "data" / "api-key").read_text()

    status = first.interrupt()

    assert status == 0
    wait_until(lambda: not processes & _parents().keys(), what="the end of all processes")
    assert list((tmp_path / "data" / "run").glob("*.sock")) == []
    second = starter(tmp_path / "data")
    assert second.get("/demo/sample.jpg") == (200, SAMPLE.read_bytes())
    assert (tmp_path / "data" / "api-key").read_text() == secret


def test_kill_9_leaves_no_process_and_the_next_start_works(tmp_path: Path, starter: Starter) -> None:
    run = starter(tmp_path / "data")
    run.use(tmp_path)
    processes = run.descendants()

    run.process.kill()
    run.process.wait(5)

    wait_until(lambda: not processes & _parents().keys(), what="the end of all processes")
    assert starter(tmp_path / "data", port=run.port).get("/health/ready")[0] == 200


@pytest.mark.parametrize("name", PROGRAMS)
def test_end_of_one_program_ends_all_with_its_name(name: str, tmp_path: Path, starter: Starter) -> None:
    run = starter(tmp_path / "data")
    run.use(tmp_path)
    processes = run.descendants()

    os.kill(run.leader(name), signal.SIGKILL)

    assert run.process.wait(15) == 1
    assert f"make run: {name} was ended by SIGKILL" in run.log.splitlines()[-1]
    wait_until(lambda: not processes & _parents().keys(), what="the end of all processes")


def test_stale_sockets_do_not_stop_the_next_start(tmp_path: Path, starter: Starter) -> None:
    run_dir = tmp_path / "data" / "run"
    run_dir.mkdir(parents=True)
    for name in ("api.sock", "redis.sock"):
        with socket.socket(socket.AF_UNIX) as left_behind:
            left_behind.bind(str(run_dir / name))

    run = starter(tmp_path / "data")

    assert run.get("/health/ready")[0] == 200


def test_redis_of_somebody_else_is_used_and_none_started(tmp_path: Path, starter: Starter) -> None:
    with redis_server(tmp_path / "redis") as server:
        run = starter(tmp_path / "data", REDIS_URL=f"redis://127.0.0.1:{server.port}/0")

        commands = [_command(pid) for pid in run.descendants()]
        run.interrupt()

    assert not [command for command in commands if "redis-server" in command]
    assert not (tmp_path / "data" / "redis").exists()


def test_data_directory_too_deep_for_a_socket_works(tmp_path: Path, starter: Starter) -> None:
    deep = tmp_path / ("d" * 100)

    run = starter(deep)

    assert run.get("/health/ready")[0] == 200


def test_make_alone_lists_every_target() -> None:
    listed = subprocess.run(["make", "-C", str(ROOT)], capture_output=True, text=True, check=True).stdout

    for target in ("run", "test", "check", "format", "install", "lock", "clean"):
        assert re.search(rf"^make {target} +\w", listed, re.MULTILINE)
