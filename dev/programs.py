"""The programs of the whole stack, in the order in which they start."""

import shutil
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from dev import nginx
from dev.supervisor import Program
from imagestore.settings import Settings

REDIS_SOCKET = "redis.sock"
API_SOCKET = "api.sock"
DASHBOARD_SOCKET = "dashboard.sock"
SOCKETS = (REDIS_SOCKET, API_SOCKET, DASHBOARD_SOCKET)

# Together the times they get to end by themselves are 14 s: long enough for a request that is
# under way, and short enough for somebody who waits at a terminal.
NGINX_GRACE_S = 4
API_GRACE_S = 3
WORKER_GRACE_S = 3
DASHBOARD_GRACE_S = 1
REDIS_GRACE_S = 3


class CannotStart(RuntimeError):
    """A program is not on this machine, or cannot be told what it needs to know."""


def redis_url(sockets: Path) -> str:
    """The address of the Redis that we start ourselves; blanks in the path are escaped."""
    return f"unix://{quote(str(sockets / REDIS_SOCKET))}?db=0"


def redis(data_dir: Path, sockets: Path, env: Mapping[str, str]) -> Program:
    """Cache and queue in one: bounded, and only what has a TTL can be evicted (design §3)."""
    folder = data_dir / "redis"
    folder.mkdir(exist_ok=True)
    options = {
        "port": "0",
        "unixsocket": str(sockets / REDIS_SOCKET),
        "unixsocketperm": "700",
        "dir": str(folder),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "maxmemory": "256mb",
        "maxmemory-policy": "volatile-lfu",
    }
    command = [_installed("redis-server")]
    for name, value in options.items():
        command += [f"--{name}", value]
    return Program("redis", command, env, grace_s=REDIS_GRACE_S)


def api(sockets: Path, env: Mapping[str, str]) -> Program:
    """gunicorn with the Falcon application."""
    extra = {
        "API_BIND": f"unix:{sockets / API_SOCKET}",
        "PYTHONUNBUFFERED": "1",
    }
    command = [sys.executable, "-m", "gunicorn", "--config", "api/gunicorn.conf.py", "api.app:create_app()"]
    return Program("api", command, {**env, **extra}, grace_s=API_GRACE_S)


def worker(env: Mapping[str, str]) -> Program:
    """What downloads, renders ahead and calls back; at its end a job gets time to finish."""
    command = [sys.executable, "-m", "worker"]
    return Program("worker", command, {**env, "PYTHONUNBUFFERED": "1"}, grace_s=WORKER_GRACE_S)


def dashboard(sockets: Path, env: Mapping[str, str]) -> Program:
    """The view of the queues at `/rq/`."""
    options = ["--config", "worker/gunicorn.conf.py", "--bind", f"unix:{sockets / DASHBOARD_SOCKET}"]
    command = [sys.executable, "-m", "gunicorn", *options, "worker.dashboard:create_app()"]
    return Program("dashboard", command, {**env, "PYTHONUNBUFFERED": "1"}, grace_s=DASHBOARD_GRACE_S)


def front(run_dir: Path, sockets: Path, settings: Settings, port: int, env: Mapping[str, str]) -> Program:
    """nginx, the only one that listens on a port."""
    try:
        configuration = nginx.write(
            run_dir, sockets / API_SOCKET, sockets / DASHBOARD_SOCKET, settings, port, env
        )
    except ValueError as error:
        raise CannotStart(f"nginx cannot work with this DATA_DIR or STORAGE_URL: {error}") from error
    command = [_installed("nginx"), "-p", str(run_dir), "-e", "stderr", "-c", str(configuration)]
    # QUIT lets it finish the answers that are under way; TERM would cut them.
    return Program("nginx", command, env, stop_signal=signal.SIGQUIT, grace_s=NGINX_GRACE_S)


def _installed(name: str) -> str:
    # Debian keeps servers in /usr/sbin, which is not in everybody's PATH.
    path = shutil.which(name) or shutil.which(name, path="/usr/local/sbin:/usr/sbin:/sbin")
    if path is None:
        raise CannotStart(f"{name} is not installed; `make run` installs what is missing")
    return path
