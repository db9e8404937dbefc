"""Whatever is killed: every task ends, and no picture is stored twice."""

import random
import signal
import threading
from collections import Counter
from functools import partial
from pathlib import Path

import redis as redis_client

from tests import pictures
from tests.origin import Origin, answer, hang, redirect
from tests.servers import wait_until
from tests.taskstack import TaskStack, task_stack


def test_every_task_ends_though_workers_and_redis_are_killed(tmp_path: Path, pictures_origin: Origin) -> None:
    count = 200
    png = pictures.encode(pictures.plain((1, 2, 3)), "png").data
    for n in range(count):
        # Bytes after a PNG's end are ignored by decoders, and make each another file.
        pictures_origin.paths[f"/crash/{n}"] = answer(body=png + f"{n:04}".encode())
    for n in range(0, count, 20):
        pictures_origin.paths[f"/crash/{n}"] = answer(404)
    for n in range(7, count, 50):
        pictures_origin.paths[f"/crash/{n}"] = answer(body=b"no picture at all")
    for n in range(9, count, 50):
        pictures_origin.paths[f"/crash/{n}"] = redirect("http://10.0.0.1/")
    lines = [{"url": pictures_origin.url(f"/crash/{n}"), "domain": "c", "dkey": str(n)} for n in range(count)]
    with task_stack(tmp_path / "tasks", pictures_origin, TASK_LEASE_S="2") as stack:
        for _ in range(2):
            stack.start_worker()
        assert stack.http.post("/tasks", json=lines).status_code == 202

        for done in (count // 6, count // 3):
            wait_until(partial(_left_at_most, stack, count - done), what=f"{done} ended tasks", timeout_s=60)
            stack.kill_worker(random.choice(stack.workers))
            stack.start_worker()
        stack.redis.kill()
        stack.redis.start()
        wait_until(lambda: stack.flags()["created"] == 0, what="the end of all tasks", timeout_s=90)

        summary = stack.http.get("/tasks/summary?domain=c").json()
        images = _images(stack, "c")
    gone, broken, inward = count // 20, count // 50, count // 50
    assert summary["total"] == count
    assert summary["flags"]["succeed"] + summary["flags"]["warning"] == count - gone - broken - inward
    assert summary["problems"]["failed"] == {
        "http-404": gone,
        "unsupported-media-type": broken,
        "fetch-target-forbidden": inward,
    }
    assert len(images) == len(set(images)) == summary["flags"]["succeed"] + summary["flags"]["warning"]


def test_a_task_that_ends_its_workers_is_poison(tmp_path: Path, pictures_origin: Origin) -> None:
    pictures_origin.paths["/poison"] = hang
    with task_stack(tmp_path / "tasks", pictures_origin, TASK_LEASE_S="1", WORKER_PROCESSES="1") as stack:
        task_id = stack.download(pictures_origin.url("/poison"))["id"]

        for death in (1, 2, 3):
            worker = stack.start_worker()
            tried = partial(_seen, pictures_origin, "/poison", death)
            wait_until(tried, what=f"try {death}", timeout_s=20)
            stack.kill_worker(worker)
        stack.start_worker()
        task = stack.ended(task_id)

    assert (task["flag"], task["problem"], task["attempts"]) == ("failed", "poison", 3)
    assert _seen(pictures_origin, "/poison", 3)


def test_lost_jobs_are_queued_again(tmp_path: Path, pictures_origin: Origin) -> None:
    pictures_origin.paths["/lost"] = answer(body=pictures.encode(pictures.plain((9, 9, 9)), "png").data)
    with task_stack(tmp_path / "tasks", pictures_origin, TASK_LEASE_S="1") as stack:
        task_id = stack.download(pictures_origin.url("/lost"))["id"]
        with redis_client.Redis(port=stack.redis.port) as client:
            client.flushall()
        stack.start_worker()

        task = stack.ended(task_id)

    assert (task["flag"], task["attempts"]) == ("succeed", 1)


def test_tasks_are_taken_while_redis_is_away(tmp_path: Path, pictures_origin: Origin) -> None:
    pictures_origin.paths["/away"] = answer(body=pictures.encode(pictures.plain((7, 7, 7)), "png").data)
    with task_stack(tmp_path / "tasks", pictures_origin, TASK_LEASE_S="2") as stack:
        stack.start_worker()
        stack.ended(stack.download(pictures_origin.url("/nothing"))["id"])
        stack.redis.kill()

        task_id = stack.download(pictures_origin.url("/away"))["id"]
        batch = stack.http.post("/tasks", json=[{"url": pictures_origin.url("/away"), "dkey": "b"}])
        stack.redis.start()

        assert batch.status_code == 202
        assert stack.ended(task_id, timeout_s=40)["flag"] == "succeed"
        assert stack.ended(batch.json()["tasks"][0]["id"], timeout_s=40)["flag"] == "succeed"


def test_sigterm_finishes_the_job_and_exits_with_0(tmp_path: Path, pictures_origin: Origin) -> None:
    asked, go_on = threading.Event(), threading.Event()
    body = pictures.encode(pictures.plain((5, 5, 5)), "png").data

    def slowly(exchange: object) -> None:
        asked.set()
        go_on.wait(20)
        answer(body=body)(exchange)  # type: ignore[arg-type]  # an Exchange

    pictures_origin.paths["/slowly"] = slowly
    with task_stack(tmp_path / "tasks", pictures_origin) as stack:
        worker = stack.start_worker()
        task_id = stack.download(pictures_origin.url("/slowly"))["id"]
        assert asked.wait(20)

        worker.send_signal(signal.SIGTERM)
        go_on.set()

        assert worker.wait(20) == 0
        assert stack.task(task_id)["flag"] == "succeed"


def _images(stack: TaskStack, domain: str) -> list[str]:
    """The hashes of all images of a domain."""
    found, next_page = [], f"/images?domain={domain}&limit=1000"
    while next_page:
        page = stack.http.get(next_page).json()
        found += [image["sha256"] for image in page["images"]]
        next_page = page["next"]
    return found


def _seen(server: Origin, path: str, times: int) -> bool:
    """Whether the path was asked for that often."""
    return Counter(request.target for request in server.requests)[path] == times


def _left_at_most(stack: TaskStack, count: int) -> bool:
    """Whether no more tasks than that have not ended."""
    return stack.flags()["created"] <= count
