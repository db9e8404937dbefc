"""`make run`: the whole stack in the foreground, on one port, with one log and one end.

usage: python -m dev.run        settings come from the environment (docs/settings.md)

Exit status: 0 when it was asked to stop (Ctrl-C, SIGTERM), 1 when a program ended by itself or the
stack did not become ready, 2 when it refused to start.
"""

import errno
import hashlib
import http.client
import os
import shlex
import signal
import socket
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from dev import nginx, programs
from dev.datadir import AlreadyRunning, emptied, locked, made_secret, sockets
from dev.supervisor import Log, Program, Supervisor
from imagestore.apikeys import API_KEY_FILE
from imagestore.commands.surroundings import note
from imagestore.settings import Settings

ROOT = Path(__file__).resolve().parent.parent
SAMPLE = ROOT / "docs" / "sample.jpg"
DEFAULT_PORT = 8080
PORTS_TRIED = 100
"""Until a free one is found to propose instead of a port that is taken."""
DASHBOARD_PASSWORD_FILE = "dashboard-password"  # noqa: S105 - the file's name
READY_TIMEOUT_S = 60


class Refused(RuntimeError):
    """It cannot start like this; nothing was started."""


class StopRequests:
    """Counts the signals that ask us to stop: one stops gracefully, a second one at once."""

    def __init__(self) -> None:
        self.count = 0
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._count)

    def _count(self, *_: object) -> None:
        self.count += 1

    def impatient(self) -> bool:
        return self.count > 1


def main() -> int:
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # it is a TextIOWrapper
    stop_requests = StopRequests()
    env = {**os.environ, "DATA_DIR": os.path.abspath(os.environ.get("DATA_DIR") or ROOT / "var")}
    data_dir = Path(env["DATA_DIR"])
    try:
        port = _check_settings(env)
        with locked(data_dir / "run") as lock, sockets(data_dir / "run", programs.SOCKETS) as folder:
            _check_port(port)
            stack = _stack(data_dir, folder, port, env)
            note(data_dir, env, server=f"http://127.0.0.1:{port}")
            log = Log([program.name for program in stack])
            supervisor = Supervisor(stack, log, cwd=ROOT, keep_open=[lock])
            try:
                supervisor.start()
                failure = _watch(supervisor, log, folder / programs.API_SOCKET, port, env, stop_requests)
            finally:
                supervisor.stop(stop_requests.impatient)
    except (Refused, programs.CannotStart) as error:
        print(f"make run: {error}", file=sys.stderr)
        return 2
    except AlreadyRunning as error:
        print(f"make run: DATA_DIR {data_dir} is in use: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"make run: {error.strerror}: {error.filename}", file=sys.stderr)
        return 2
    if failure:
        print(f"make run: {failure}; everything else was stopped", file=sys.stderr)
        return 1
    return 0


def _check_settings(env: Mapping[str, str]) -> int:
    """The port.

    Raises:
        Refused: with a line for each variable that is wrong.
    """
    faults = []
    text = env.get("PORT") or str(DEFAULT_PORT)
    port = int(text) if text.isascii() and text.isdigit() and len(text) < 6 else 0
    if not 1 <= port <= 65_535:
        faults.append(f"PORT is {text!r}, expected a number from 1 to 65535")
    try:
        Settings.from_env(env)
        nginx.own_values(env)
    except ValueError as error:
        faults.append(str(error))
    if faults:
        raise Refused("\n".join(["the settings are wrong", *faults]))
    return port


def _check_port(port: int) -> None:
    fault = _fault_of(port)
    if fault is None:
        return
    why = f"only root may open port {port}" if fault == errno.EACCES else f"port {port} is busy"
    # Everybody may open those from the default on.
    start = DEFAULT_PORT if fault == errno.EACCES or port + PORTS_TRIED > 65_535 else port + 1
    others = range(start, start + PORTS_TRIED)
    free = next((other for other in others if _fault_of(other) is None), None)
    raise Refused(f"{why}; choose another: PORT={free or '<number>'} make run")


def _fault_of(port: int) -> int | None:
    """Why nginx could not listen on a port (an errno), or None if it can."""
    with socket.socket() as probe:
        # As nginx does; without it the connections of a run just ended would count as a listener.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError as error:
            return error.errno
    return None


def _stack(data_dir: Path, folder: Path, port: int, env: dict[str, str]) -> list[Program]:
    """What runs, in starting order. Prepares its folders and makes the API key if there is none."""
    run_dir = data_dir / "run"
    stack = []
    if not (env.get("REDIS_URL") or env.get("REDIS_URL_FILE")):
        env["REDIS_URL"] = programs.redis_url(folder)
        stack.append(programs.redis(data_dir, folder, env))
    settings = Settings.from_env(env)
    if not settings.api_keys:
        made_secret(data_dir / API_KEY_FILE)
    if not settings.dashboard_login:
        env["DASHBOARD_LOGIN"] = "ops:" + made_secret(data_dir / DASHBOARD_PASSWORD_FILE)
    # The counters of the API's and the worker's processes meet in files there, on one page; old ones
    # would be counted again.
    env["PROMETHEUS_MULTIPROC_DIR"] = str(emptied(run_dir / "metrics"))
    stack.append(programs.api(folder, env))
    stack.append(programs.worker(env))
    stack.append(programs.dashboard(folder, env))
    stack.append(programs.front(run_dir, folder, settings, port, env))
    return stack


def _watch(
    supervisor: Supervisor,
    log: Log,
    api_socket: Path,
    port: int,
    env: Mapping[str, str],
    stop_requests: StopRequests,
) -> str | None:
    """Waits until somebody asks to stop or something fails; what failed, or None."""
    ready, deadline = False, time.monotonic() + READY_TIMEOUT_S
    while not stop_requests.count:
        failure = supervisor.ended()
        if failure:
            return failure
        # Asked before the API listens, nginx would log an error at every start.
        if not ready and api_socket.exists() and _answers(port):
            ready = True
            log.text(_banner(port, env))
        if not ready and time.monotonic() > deadline:
            return f"/health/ready did not answer 200 within {READY_TIMEOUT_S} s"
        time.sleep(0.1)
    return None


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/health/ready")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _banner(port: int, env: Mapping[str, str]) -> str:
    address = f"http://127.0.0.1:{port}"
    where, secret = _api_key(env)
    digest = hashlib.md5(SAMPLE.read_bytes(), usedforsecurity=False).hexdigest()
    return f"""
Ready: {address}
Console: {address}/console/ (log in with the API key)
API key: {where}
Data: {env["DATA_DIR"]}
Queues: {address}/rq/ (user ops, password in {env["DATA_DIR"]}/{DASHBOARD_PASSWORD_FILE})
Command: {sys.prefix}/bin/imagestore --help
Stop: Ctrl-C

Store a picture, then fetch it 300 pixels wide (in another terminal):

  curl -H "Authorization: Bearer {secret}" -T {shlex.quote(str(SAMPLE))} {address}/demo/sample.jpg
  curl -o thumb.jpg '{address}/image/read?sum={digest}&width=300'
"""


def _api_key(env: Mapping[str, str]) -> tuple[str, str]:
    """Where the API key is, in words and for a shell. The key itself stays out of every log."""
    if env.get("API_KEY"):
        return "what the variable API_KEY holds", "$API_KEY"
    if env.get("API_KEY_FILE"):
        path = os.path.abspath(env["API_KEY_FILE"])
    elif env.get("API_KEYS") or env.get("API_KEYS_FILE"):
        return "one of the variable API_KEYS", "<one of API_KEYS>"
    else:
        path = os.path.join(env["DATA_DIR"], API_KEY_FILE)
    return f"in {path}", f"$(cat {shlex.quote(path)})"


if __name__ == "__main__":
    sys.exit(main())
