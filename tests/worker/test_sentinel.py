"""Tasks, workers and the dashboard over a Redis whose master dies: nothing is started again."""

import base64
import secrets
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests import pictures
from tests.origin import Origin, answer
from tests.sentinels import PASSWORD, SENTINEL_PASSWORD, Watched, watched_redis
from tests.servers import ROOT, Server, free_port, wait_until
from tests.taskstack import TaskStack, task_stack

LOGIN = "ops:open sesame of ops"
WORKED_S = 20
"""From the failover to the end of a task that came while there was no master: a worker of RQ tries
again after 1, 2 and 4 s."""

DASHBOARD_S = 6
"""It has no breaker; its own timeout is 5 s."""


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    with watched_redis(tmp_path / "watched") as servers:
        yield servers


@pytest.fixture
def tasks(tmp_path: Path, watched: Watched, pictures_origin: Origin) -> Iterator[TaskStack]:
    env = {"REDIS_URL": watched.url, "WORKER_PROCESSES": "2", "WORKER_METRICS_PORT": str(free_port())}
    with task_stack(tmp_path / "tasks", pictures_origin, **env) as stack:
        stack.start_worker()
        yield stack


@pytest.fixture
def dashboard(tmp_path: Path, watched: Watched) -> Iterator[httpx.Client]:
    port = free_port()
    command = [sys.executable, "-m", "gunicorn", "--config=worker/gunicorn.conf.py"]
    command += [f"--bind=127.0.0.1:{port}", "worker.dashboard:create_app()"]
    env = {"REDIS_URL": watched.url, "DASHBOARD_LOGIN": LOGIN}
    server = Server(command, port, tmp_path / "dashboard.log", env=env, cwd=ROOT).start()
    headers = {"Authorization": "Basic " + base64.b64encode(LOGIN.encode()).decode()}
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=20) as client:
            yield client
    finally:
        server.stop()


def test_tasks_are_worked_and_shown_after_a_failover(
    watched: Watched, tasks: TaskStack, dashboard: httpx.Client, pictures_origin: Origin
) -> None:
    first, second = watched.servers

    def download() -> int:
        # Each is another picture: one that is there already ends as a warning.
        png = pictures.encode(pictures.texture(80 + len(pictures_origin.paths), 60), "png").data
        path = f"/{secrets.token_hex(8)}.png"
        pictures_origin.paths[path] = answer(headers={"Content-Type": "image/png"}, body=png)
        return int(tasks.download(pictures_origin.url(path))["id"])

    assert tasks.ended(download())["flag"] == "succeed"
    assert shown(dashboard)

    first.kill()
    meanwhile = download()
    watched.wait_for(second)

    assert tasks.ended(meanwhile, timeout_s=WORKED_S)["flag"] == "succeed"
    assert tasks.ended(download(), timeout_s=WORKED_S)["flag"] == "succeed"
    wait_until(lambda: shown(dashboard), what="the dashboard shows the queues", timeout_s=DASHBOARD_S)
    wait_until(lambda: worker_is_ready(tasks), what="the worker is ready", timeout_s=WORKED_S)
    with watched.client(second) as client:
        client.select(2)
        assert client.exists("rq:queues")
    told = tasks.log() + (tasks.folder / "api.log").read_text()
    assert PASSWORD not in told
    assert SENTINEL_PASSWORD not in told


def shown(dashboard: httpx.Client) -> bool:
    answer = dashboard.get("/rq/0/data/queues.json")
    assert PASSWORD not in answer.text
    return answer.status_code == 200 and "downloads" in answer.text


def worker_is_ready(tasks: TaskStack) -> bool:
    port = tasks.env["WORKER_METRICS_PORT"]
    return httpx.get(f"http://127.0.0.1:{port}/health/ready", timeout=20).status_code == 200
