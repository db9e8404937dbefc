"""A worker counts what its jobs do, though each of them is a process of its own."""

from pathlib import Path

import httpx

from tests import pictures
from tests.origin import Origin, answer
from tests.servers import free_port, wait_until
from tests.taskstack import task_stack

KINDS = 'imagestore_tasks_total{kind="download",outcome="%s",problem="%s"} '


def test_jobs_are_counted_together_on_the_page_of_their_worker(
    tmp_path: Path, pictures_origin: Origin
) -> None:
    body = pictures.encode(pictures.plain((1, 2, 4)), "png").data
    pictures_origin.paths["/counted"] = answer(body=body)
    port, counters = free_port(), tmp_path / "counters"
    counters.mkdir()
    address = f"http://127.0.0.1:{port}"
    with task_stack(tmp_path / "tasks", pictures_origin, PROMETHEUS_MULTIPROC_DIR=str(counters)) as stack:
        worker = stack.start_worker(WORKER_METRICS_PORT=str(port), WORKER_PROCESSES="2")
        good = [stack.download(pictures_origin.url("/counted"), dkey=f"{n}.png")["id"] for n in range(8)]
        bad = stack.download(pictures_origin.url("/missing"))["id"]
        for task_id in [*good, bad]:
            stack.ended(task_id)
        page = httpx.get(f"{address}/metrics").text
        ready = httpx.get(f"{address}/health/ready")
        # The API of `make run` shares the folder, so that its page has everything.
        shared = stack.http.get("/metrics").text
        stack.kill_worker(worker)

    assert KINDS % ("succeed", "") + "8.0" in page
    assert KINDS % ("failed", "http-404") + "1.0" in page
    assert f'imagestore_received_bytes_total{{source="download"}} {8 * len(body)}.0' in page
    assert 'imagestore_decoders{state="busy"} 1.0' not in page
    assert KINDS % ("succeed", "") + "8.0" in shared
    assert "imagestore_workers 2.0" in shared
    assert ready.status_code == 200
    # One file of counters for all jobs of each of two RQ workers.
    assert len(list(counters.glob("counter_jobs*.db"))) <= 2


def test_page_of_a_worker_without_redis_is_not_ready_and_still_counts(
    tmp_path: Path, pictures_origin: Origin
) -> None:
    port = free_port()
    with task_stack(tmp_path / "tasks", pictures_origin) as stack:
        stack.start_worker(WORKER_METRICS_PORT=str(port), PROMETHEUS_MULTIPROC_DIR=str(tmp_path))
        wait_until(lambda: _status(port, "/health/ready") == 200, what="the worker is ready")
        stack.redis.kill()

        assert _status(port, "/health/ready") == 503
        assert _status(port, "/metrics") == 200
        assert _status(port, "/") == 404


def _status(port: int, path: str) -> int:
    try:
        return httpx.get(f"http://127.0.0.1:{port}{path}", timeout=10).status_code
    except httpx.TransportError:
        return 0
