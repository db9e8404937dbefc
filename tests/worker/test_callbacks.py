"""Who handed a task in is told how it ended: signed, at least once, and again until it is received."""

import base64
import json
import secrets
from pathlib import Path

import pytest

from imagestore.callbacks import verify
from tests import pictures
from tests.origin import Origin, Request, answer
from tests.servers import wait_until
from tests.taskstack import TaskStack, task_stack

SECRET = "whsec_" + base64.b64encode(b"k" * 32).decode()
PNG = pictures.encode(pictures.texture(40, 30), "png").data


@pytest.fixture
def path(pictures_origin: Origin) -> str:
    """A path with a picture, and behind it a place for the callback."""
    path = f"/{secrets.token_hex(8)}"
    pictures_origin.paths[path] = answer(body=PNG)
    return path


def received(server: Origin, path: str) -> list[Request]:
    return [request for request in server.requests if request.target == path]


def delivery(stack: TaskStack, task_id: int, flag: str) -> dict[str, object]:
    """The task's callback once it has that flag."""
    wait_until(
        lambda: stack.task(task_id)["callback"]["flag"] == flag,
        what=f"a callback that is {flag}",
        timeout_s=40,
    )
    return dict(stack.task(task_id)["callback"])


def test_callback_brings_the_final_task_with_a_valid_signature(
    tmp_path: Path, pictures_origin: Origin, path: str
) -> None:
    pictures_origin.paths[f"{path}/cb"] = answer(204)
    with task_stack(tmp_path / "tasks", pictures_origin, CALLBACK_SECRET=SECRET) as stack:
        stack.start_worker()

        task_id = stack.download(pictures_origin.url(path), callback=pictures_origin.url(f"{path}/cb"))["id"]
        state = delivery(stack, task_id, "delivered")
        task = stack.task(task_id)

    (request,) = received(pictures_origin, f"{path}/cb")
    body = json.loads(request.body)
    assert state["attempts"] == 1
    assert verify(SECRET, request.headers, request.body)
    assert not verify(SECRET, request.headers, request.body + b" ")
    assert (body["id"], body["flag"], body["image_id"]) == (task_id, "succeed", task["image_id"])
    assert request.method == "POST"
    assert request.headers["content-type"] == "application/json"


def test_callback_is_tried_until_it_is_received_under_one_event_id(
    shared_tasks: TaskStack, pictures_origin: Origin, path: str
) -> None:
    refusals = iter([answer(500), answer(404)])
    pictures_origin.paths[f"{path}/cb"] = lambda exchange: next(refusals, answer())(exchange)

    members = {"dkey": path, "callback": pictures_origin.url(f"{path}/cb")}
    task_id = shared_tasks.download(pictures_origin.url(path), **members)["id"]
    state = delivery(shared_tasks, task_id, "delivered")

    requests = received(pictures_origin, f"{path}/cb")
    assert (state["attempts"], len(requests)) == (3, 3)
    assert len({request.headers["webhook-id"] for request in requests}) == 1
    assert len({request.body for request in requests}) == 1


def test_failed_tasks_call_back_too(shared_tasks: TaskStack, pictures_origin: Origin, path: str) -> None:
    pictures_origin.paths[f"{path}/cb"] = answer()

    callback = pictures_origin.url(f"{path}/cb")
    task_id = shared_tasks.download(pictures_origin.url(f"{path}/none"), callback=callback)["id"]
    delivery(shared_tasks, task_id, "delivered")

    (request,) = received(pictures_origin, f"{path}/cb")
    assert (json.loads(request.body)["flag"], json.loads(request.body)["problem"]) == ("failed", "http-404")


def test_undeliverable_callback_is_a_warning_in_the_end(
    tmp_path: Path, pictures_origin: Origin, path: str
) -> None:
    pictures_origin.paths[f"{path}/cb"] = answer(503)
    with task_stack(tmp_path / "tasks", pictures_origin, CALLBACK_RETRY_S="0.01") as stack:
        stack.start_worker()

        task_id = stack.download(pictures_origin.url(path), callback=pictures_origin.url(f"{path}/cb"))["id"]
        state = delivery(stack, task_id, "failed")
        task = stack.task(task_id)

    assert len(received(pictures_origin, f"{path}/cb")) == 6
    assert (state["attempts"], state["problem"]) == (6, "http-503")
    assert (task["flag"], task["problem"]) == ("warning", "callback-undeliverable")
    assert task["image_id"] is not None


def test_callback_to_a_forbidden_place_is_given_up_at_once(
    shared_tasks: TaskStack, pictures_origin: Origin, path: str
) -> None:
    members = {"dkey": path, "callback": "http://169.254.169.254/cb"}
    task_id = shared_tasks.download(pictures_origin.url(path), **members)["id"]

    state = delivery(shared_tasks, task_id, "failed")

    assert (state["attempts"], state["problem"]) == (1, "fetch-target-forbidden")
    assert shared_tasks.task(task_id)["problem"] == "callback-undeliverable"


def test_callback_survives_the_end_of_redis_and_of_the_worker(
    tmp_path: Path, pictures_origin: Origin, path: str
) -> None:
    pictures_origin.paths[f"{path}/cb"] = answer(503)
    with task_stack(tmp_path / "tasks", pictures_origin, CALLBACK_RETRY_S="1", TASK_LEASE_S="1") as stack:
        worker = stack.start_worker()
        task_id = stack.download(pictures_origin.url(path), callback=pictures_origin.url(f"{path}/cb"))["id"]
        wait_until(lambda: bool(received(pictures_origin, f"{path}/cb")), what="the first try")

        stack.kill_worker(worker)
        stack.redis.kill()
        (stack.folder / "redis" / "appendonlydir").rename(stack.folder / "lost")
        stack.redis.start()
        pictures_origin.paths[f"{path}/cb"] = answer()
        stack.start_worker()

        assert delivery(stack, task_id, "delivered")["problem"] is None
