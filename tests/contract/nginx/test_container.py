"""nginx as its container starts it, with other folders and ports: it finds its neighbours by itself."""

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.fakeapi import FakeApi, fake_api
from tests.servers import ROOT, Server, free_port, program, wait_until


@pytest.fixture
def api() -> Iterator[FakeApi]:
    with fake_api() as running:
        yield running


@pytest.fixture
def dashboard() -> Iterator[FakeApi]:
    with fake_api() as running:
        yield running


@pytest.fixture
def container(tmp_path: Path, api: FakeApi, dashboard: FakeApi) -> Iterator[Server]:
    program("nginx")
    port = free_port()
    for name in ("run", "spool"):
        (tmp_path / name).mkdir()
    moved = {
        "/app/nginx": f"{tmp_path}/nginx",
        "/run/nginx": f"{tmp_path}/run",
        "/var/spool/imagestore": f"{tmp_path}/spool",
        "LISTEN=8080": f"LISTEN=127.0.0.1:{port}",
        "listen 9113": f"listen 127.0.0.1:{free_port()}",
        # The name of the replicas and their port.
        "ahostsv4 api-front": "ahostsv4 localhost",
        ":8000 max_fails": f":{api.port} max_fails",
        # Who is root here must stay it, to read this folder.
        "NGINX_USER=''": f"NGINX_USER='{'user root;' if os.getuid() == 0 else ''}'",
    }
    shutil.copytree(ROOT / "nginx", tmp_path / "nginx")
    for path in (tmp_path / "nginx" / "container").iterdir():
        text = path.read_text()
        for old, new in moved.items():
            text = text.replace(old, new)
        path.write_text(text)
    env = {
        "PATH": f"{os.environ['PATH']}:/usr/sbin",
        "DASHBOARD": f"127.0.0.1:{dashboard.port}",
        "REDIS_URL": "redis://127.0.0.1:9/0",
        "LOG_FORMAT": "json",
    }
    command = [str(tmp_path / "nginx" / "container" / "start")]
    server = Server(command, port, tmp_path / "log", env=env).start()
    try:
        # As its health check does: an open port is not yet an nginx that serves.
        wait_until(lambda: _is_live(port), what="an answer of nginx")
        yield server
    finally:
        server.stop()


def _is_live(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/health/nginx").text == "live\n"
    except httpx.TransportError:
        return False


def test_it_finds_api_dashboard_and_name_server(
    container: Server, api: FakeApi, dashboard: FakeApi, tmp_path: Path
) -> None:
    with httpx.Client(base_url=f"http://127.0.0.1:{container.port}", timeout=20) as http:
        assert http.get("/images/7").content == b"from the API"
        assert http.get("/rq/").content == b"from the API"

    assert [asked.path for asked in api.asked] == ["/images/7"]
    assert [asked.path for asked in dashboard.asked] == ["/rq/"]
    first = re.search(r"^nameserver\s+(\S+)", Path("/etc/resolv.conf").read_text(), re.MULTILINE)
    resolver = re.search(r"^\s*resolver (\S+)", (tmp_path / "run" / "nginx.conf").read_text(), re.MULTILINE)
    assert resolver is not None
    assert resolver[1].strip("[]") == (first[1] if first else "127.0.0.11")
