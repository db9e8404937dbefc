"""nginx with the project's configuration, in front of any API."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from dev.nginx import NO_ORIGINALS, write_values
from tests.servers import Server, free_port, program


@contextlib.contextmanager
def nginx_server(
    folder: Path, *, api: str, redis_url: str, originals: Path | None, signing_keys: str = "", **values: str
) -> Iterator[Server]:
    """A running nginx; `api` is `host:port` or `unix:/path`, `values` override those of dev/nginx.py."""
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    own = {
        "LISTEN": f"127.0.0.1:{port}",
        "API": api,
        "ORIGINALS": str(originals or NO_ORIGINALS),
        "WORKERS": "2",
        "ACCESS_LOG": f"{folder}/access.log line",
    }
    configuration = write_values(folder, {**own, **values})
    env = {"REDIS_URL": redis_url, "SIGNING_KEYS": signing_keys}
    command = [program("nginx"), "-p", str(folder), "-e", "stderr", "-c", str(configuration)]
    server = Server(command, port, folder / "nginx.log", env=env).start()
    try:
        yield server
    finally:
        server.stop()
