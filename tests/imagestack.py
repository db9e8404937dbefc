"""The whole stack for tests: Redis, gunicorn with the real API, nginx in front; one object to ask.

Everything lives in one temporary folder and on free ports, and is gone when the block ends.
"""

import contextlib
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.described import judge
from tests.nginx import nginx_server
from tests.servers import ROOT, Server, free_port, redis_server, wait_until

API_KEY = "test-key-0123456789abcdef"

JUDGED: Mapping[str, list[Callable[..., Any]]] = {"response": [judge]}
"""Hooks of a client whose every exchange must be as the OpenAPI document says."""


@dataclass
class ImageStack:
    """A running stack. `http` speaks to nginx without a key, `writer` with one."""

    folder: Path
    redis: Server
    api: Server
    nginx: Server
    http: httpx.Client
    writer: httpx.Client
    env: dict[str, str]
    """The settings of the API, for workers that shall belong to it."""

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.nginx.port}"

    def upload(
        self, body: bytes, domain: str = "demo", dkey: str | None = None, **fields: str
    ) -> dict[str, Any]:
        """Store a picture and give its description."""
        data = {"domain": domain, **({"dkey": dkey} if dkey else {}), **fields}
        answer = self.writer.post("/image/upload", files={"file": ("x", body)}, data=data)
        assert answer.status_code in (200, 201), answer.text
        return dict(answer.json())

    def metric(self, name: str, **labels: str) -> float:
        """The sum of a counter's samples whose labels include the given ones."""
        total = 0.0
        for line in self.http.get("/metrics").text.splitlines():
            if line.startswith((name + "{", name + " ")) and all(
                f'{k}="{v}"' in line for k, v in labels.items()
            ):
                total += float(line.rsplit(" ", 1)[1])
        return total

    def wait_ready(self) -> None:
        def ready() -> bool:
            with contextlib.suppress(httpx.HTTPError):
                return self.http.get("/health/ready").status_code == 200
            return False

        wait_until(ready, what="the stack is ready", timeout_s=40)


@contextlib.contextmanager
def image_stack(folder: Path, **env: str) -> Iterator[ImageStack]:
    """A ready stack on SQLite and a local folder; `env` overrides any setting."""
    folder.mkdir(parents=True, exist_ok=True)
    data, metrics = folder / "data", folder / "metrics"
    for each in (data, metrics):
        each.mkdir(exist_ok=True)
    with contextlib.ExitStack() as stack:
        redis = stack.enter_context(redis_server(folder / "redis"))
        settings = {
            "DATA_DIR": str(data),
            "API_KEY": API_KEY,
            "REDIS_URL": f"redis://127.0.0.1:{redis.port}/0",
            "PROMETHEUS_MULTIPROC_DIR": str(metrics),
            "API_WORKERS": "2",
            **env,
        }
        api = stack.enter_context(api_server(folder, settings))
        local = "STORAGE_URL" not in env
        nginx = stack.enter_context(
            nginx_server(
                folder / "nginx",
                api=f"127.0.0.1:{api.port}",
                redis_url=settings["REDIS_URL"],
                originals=data / "originals" if local else None,
                signing_keys=settings.get("SIGNING_KEYS", ""),
                SIGNING=settings.get("SIGNING", ""),
                VARIANTS=settings.get("VARIANTS", ""),
            )
        )
        address = f"http://127.0.0.1:{nginx.port}"
        http = stack.enter_context(httpx.Client(base_url=address, timeout=30, event_hooks=JUDGED))
        headers = {"Authorization": f"Bearer {settings['API_KEY']}"}
        writer = stack.enter_context(
            httpx.Client(base_url=address, timeout=60, headers=headers, event_hooks=JUDGED)
        )
        whole = ImageStack(folder, redis, api, nginx, http, writer, settings)
        whole.wait_ready()
        yield whole


@contextlib.contextmanager
def api_server(folder: Path, env: dict[str, str]) -> Iterator[Server]:
    """gunicorn with the real application on a free port."""
    port = free_port()
    command = [sys.executable, "-m", "gunicorn", "--config", "api/gunicorn.conf.py", "api.app:create_app()"]
    clean = {"PATH": os.environ["PATH"], "API_BIND": f"127.0.0.1:{port}", **env}
    server = Server(command, port, folder / "api.log", env=clean, cwd=ROOT).start(timeout_s=40)
    try:
        yield server
    finally:
        server.stop()
