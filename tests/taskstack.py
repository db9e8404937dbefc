"""API, Redis and workers for the tests of tasks: real processes on one temporary folder, without nginx."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.imagestack import API_KEY, JUDGED, api_server
from tests.origin import Origin
from tests.servers import ROOT, Server, redis_server, wait_until


@dataclass
class TaskStack:
    """`http` speaks to the API with a key; workers are started by the test."""

    folder: Path
    env: dict[str, str]
    redis: Server
    http: httpx.Client
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start_worker(self, **env: str) -> subprocess.Popen[bytes]:
        """A `python -m worker` in a process group of its own."""
        with (self.folder / "worker.log").open("ab") as log:
            worker = subprocess.Popen(
                [sys.executable, "-m", "worker"],
                cwd=ROOT,
                env={"PATH": os.environ["PATH"], **self.env, **env},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.workers.append(worker)
        return worker

    def kill_worker(self, worker: subprocess.Popen[bytes]) -> None:
        """SIGKILL to the worker and to every process that it started."""
        for pid in [worker.pid, *_descendants(worker.pid)]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        worker.wait(10)
        self.workers.remove(worker)

    def stop_workers(self) -> list[int]:
        """SIGTERM to all workers; their exit codes."""
        for worker in self.workers:
            worker.terminate()
        codes = [worker.wait(40) for worker in self.workers]
        self.workers.clear()
        return codes

    def log(self) -> str:
        path = self.folder / "worker.log"
        return path.read_text() if path.exists() else ""

    def download(self, url: str, **members: Any) -> dict[str, Any]:
        """A task for one URL."""
        answer = self.http.post("/image/download", json={"url": url, **members})
        assert answer.status_code == 202, answer.text
        return dict(answer.json())

    def task(self, task_id: int) -> dict[str, Any]:
        answer = self.http.get(f"/tasks/{task_id}")
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def ended(self, task_id: int, *, timeout_s: float = 30) -> dict[str, Any]:
        """The task once it has ended."""
        wait_until(
            lambda: self.task(task_id)["flag"] != "created",
            what=f"the end of task {task_id}",
            timeout_s=timeout_s,
        )
        return self.task(task_id)

    def flags(self) -> dict[str, int]:
        return dict(self.http.get("/tasks/summary").json()["flags"])


@contextlib.contextmanager
def task_stack(folder: Path, origin: Origin | None = None, **env: str) -> Iterator[TaskStack]:
    """A stack on SQLite and a local folder that may fetch from `origin`; no worker runs yet."""
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        redis = stack.enter_context(redis_server(folder / "redis"))
        settings = {
            "DATA_DIR": str(folder / "data"),
            "API_KEY": API_KEY,
            "REDIS_URL": f"redis://127.0.0.1:{redis.port}/0",
            "API_WORKERS": "1",
            "WORKER_PROCESSES": "4",
            "TASK_RETRY_S": "0.03",
            "CALLBACK_RETRY_S": "0.1",
            "FETCH_ALLOW": origin.service if origin else "",
            "FETCH_RATE_PER_HOST": "1000",
            **env,
        }
        api = stack.enter_context(api_server(folder, settings))
        headers = {"Authorization": f"Bearer {API_KEY}"}
        http = stack.enter_context(
            httpx.Client(
                base_url=f"http://127.0.0.1:{api.port}", timeout=60, headers=headers, event_hooks=JUDGED
            )
        )
        whole = TaskStack(folder, settings, redis, http)
        try:
            yield whole
        finally:
            for worker in list(whole.workers):
                whole.kill_worker(worker)


def _descendants(pid: int) -> list[int]:
    """Children, and theirs; work-horses have process groups of their own."""
    found = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in map(int, path.read_text().split()):
                found += [child, *_descendants(child)]
    return found
