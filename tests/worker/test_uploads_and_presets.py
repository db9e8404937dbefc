"""Uploads that are checked later, and renditions that are made before anybody asks."""

import hashlib
import json
import secrets
import zlib
from pathlib import Path

import pytest
import redis as redis_client

from imagestore.children.slots import Slots
from tests import pictures
from tests.origin import Origin, answer
from tests.servers import wait_until
from tests.taskstack import TaskStack, task_stack

PRESETS = "thumb=width=20&height=20&fit=cover;auto=width=30&format=auto"


@pytest.fixture
def dkey() -> str:
    return secrets.token_hex(8)


def upload(stack: TaskStack, body: bytes, **fields: str) -> dict[str, object]:
    answer = stack.http.post("/image/upload", files={"file": ("x", body)}, data=fields)
    assert answer.status_code in (200, 201, 202), answer.text
    return dict(answer.json())


def kept_fields(stack: TaskStack, body: bytes) -> set[str]:
    """The renditions of an original that are in the cache, without the recipe's name."""
    with redis_client.Redis(port=stack.redis.port) as client:
        fields = client.hkeys(f"picture:{hashlib.sha256(body).hexdigest()}")
    return {field.decode().partition("@")[0] for field in fields}


def test_async_upload_is_stored_by_a_worker(shared_tasks: TaskStack, dkey: str) -> None:
    body = pictures.encode(pictures.texture(50, 40, seed=1), "jpeg").data

    taken = upload(shared_tasks, body, mode="async", domain="up", dkey=dkey, metadata='{"a": 1}')
    task = shared_tasks.ended(int(str(taken["id"])))

    assert (taken["kind"], taken["flag"]) == ("upload", "created")
    assert (task["flag"], task["sha256"]) == ("succeed", hashlib.sha256(body).hexdigest())
    image = shared_tasks.http.get(f"/images/{task['image_id']}").json()
    assert (image["domain"], image["dkey"], image["user_metadata"]) == ("up", dkey, {"a": 1})


def test_async_upload_of_a_truncated_picture_fails(shared_tasks: TaskStack) -> None:
    body = pictures.encode(pictures.texture(50, 40, seed=2), "jpeg").cut(0.7).data

    task = shared_tasks.ended(int(str(upload(shared_tasks, body, mode="async")["id"])))

    assert (task["flag"], task["problem"]) == ("failed", "image-invalid")


def test_async_upload_of_something_else_is_refused_at_once(shared_tasks: TaskStack) -> None:
    answer = shared_tasks.http.post("/image/upload", files={"file": ("x", b"<svg/>")}, data={"mode": "async"})

    assert (answer.status_code, answer.json()["type"]) == (415, "/problems/unsupported-media-type")


def test_async_upload_survives_the_death_of_everything(tmp_path: Path, pictures_origin: Origin) -> None:
    body = pictures.encode(pictures.texture(50, 40, seed=3), "png").data
    with task_stack(tmp_path / "tasks", pictures_origin, TASK_LEASE_S="1") as stack:
        taken = upload(stack, body, mode="async", dkey="x")
        with redis_client.Redis(port=stack.redis.port) as client:
            client.flushall()
        stack.start_worker()

        assert stack.ended(int(str(taken["id"])))["flag"] == "succeed"


def test_preset_reads_as_its_parameters(shared_tasks: TaskStack, dkey: str) -> None:
    image = upload(shared_tasks, pictures.encode(pictures.texture(90, 60, seed=4), "png").data, dkey=dkey)
    read = f"/image/read?id={image['id']}"

    by_name = shared_tasks.http.get(f"{read}&preset=thumb")
    spelled = shared_tasks.http.get(f"{read}&width=20&height=20&fit=cover")

    assert by_name.status_code == 200
    assert by_name.headers["ETag"] == spelled.headers["ETag"]
    assert by_name.content == spelled.content
    assert shared_tasks.http.get(f"{read}&preset=none").json()["parameter"] == "preset"
    assert shared_tasks.http.get(f"{read}&preset=thumb&width=5").status_code == 400


def test_presets_are_rendered_after_uploads_and_downloads(tmp_path: Path, pictures_origin: Origin) -> None:
    uploaded = pictures.encode(pictures.texture(90, 60, seed=5), "png").data
    downloaded = pictures.encode(pictures.texture(90, 60, seed=6), "png").data
    pictures_origin.paths["/preset"] = answer(body=downloaded)
    with task_stack(tmp_path / "tasks", pictures_origin, PRESETS=PRESETS) as stack:
        stack.start_worker()

        upload(stack, uploaded)
        stack.ended(stack.download(pictures_origin.url("/preset"))["id"])

        for body in (uploaded, downloaded):
            wait_until(lambda: len(kept_fields(stack, body)) == 4, what="four renditions")  # noqa: B023 - it ends in this turn
            assert kept_fields(stack, body) == {
                "width=20&height=20&fit=cover",
                "width=30&format=auto",
                "width=30&format=auto-webp",
                "width=30&format=auto-avif",
            }


def test_presets_wait_for_busy_decoders(tmp_path: Path) -> None:
    body = pictures.encode(pictures.texture(90, 60, seed=9), "png").data
    env = {"RENDER_PROCESSES": "1", "RENDER_QUEUE_TIMEOUT_S": "0.2"}
    with (
        task_stack(tmp_path / "tasks", PRESETS=PRESETS, **env) as stack,
        redis_client.Redis(port=stack.redis.port) as client,
    ):

        def tries() -> list[int]:
            return [json.loads(word)[4] for word in client.zrange("later:pictures", 0, -1)]

        def let_time_pass() -> None:
            for word in client.zrange("later:pictures", 0, -1):
                client.zadd("later:pictures", {word: 0})

        upload(stack, body)
        with Slots(tmp_path / "tasks" / "data" / "run" / "slots", 1, queue=1, timeout_s=1).turn():
            stack.start_worker()
            wait_until(lambda: tries() == [1], what="the presets are put off")
            let_time_pass()
            wait_until(lambda: tries() == [2], what="the presets are put off again")
        let_time_pass()

        wait_until(lambda: len(kept_fields(stack, body)) == 4, what="four renditions")
        assert tries() == []


def test_presets_of_a_replaced_picture_are_a_job_of_their_own(tmp_path: Path) -> None:
    with task_stack(tmp_path / "tasks", PRESETS=PRESETS) as stack:
        for seed in (7, 8):
            body = pictures.encode(pictures.texture(40, 30, seed=seed), "png").data
            upload(stack, body, domain="again", dkey="same", overwrite="1")

        with redis_client.Redis(port=stack.redis.port) as client:
            first, second = client.lrange("rq:queue:pictures", 0, -1)
            # As the worker does when the first one has ended.
            client.delete(f"rq:job:{first.decode()}")
            assert client.exists(f"rq:job:{second.decode()}")


def test_presets_of_a_whole_domain_are_rendered_with_visible_progress(
    tmp_path: Path, pictures_origin: Origin
) -> None:
    bodies = [pictures.encode(pictures.texture(30, 20, seed=n), "png").data for n in range(10, 18)]
    with task_stack(tmp_path / "tasks", pictures_origin, PRESETS="thumb=width=10") as stack:
        for n, body in enumerate(bodies):
            upload(stack, body, domain="all", dkey=str(n))
        with redis_client.Redis(port=stack.redis.port) as client:
            client.flushall()
        stack.start_worker()

        taken = stack.http.post("/images/pregenerate?domain=all")
        task = stack.ended(taken.json()["id"])

        assert (taken.status_code, task["flag"]) == (202, "succeed")
        assert {name: task["progress"][name] for name in ("done", "failed", "total")} == {
            "done": 8,
            "failed": 0,
            "total": 8,
        }
        assert all(kept_fields(stack, body) == {"width=10"} for body in bodies)


def test_pregeneration_without_presets_is_refused(own_tasks: TaskStack) -> None:
    answer = own_tasks.http.post("/images/pregenerate?domain=d")

    assert (answer.status_code, answer.json()["type"]) == (400, "/problems/invalid-request")


def test_jobs_in_the_queue_are_readable_and_hold_nothing_but_a_number(own_tasks: TaskStack) -> None:
    task_id = own_tasks.download("http://example.org/secret?token=abc", callback="http://example.org/?t=abc")[
        "id"
    ]

    with redis_client.Redis(port=own_tasks.redis.port) as client:
        job = client.hgetall(f"rq:job:work_on_task-{task_id}")

    assert job[b"description"] == f"task {task_id} example.org".encode()
    # What RQ calls: function, instance, arguments, named arguments; kept compressed.
    assert json.loads(zlib.decompress(job[b"data"])) == ["worker.jobs.work_on_task", None, [task_id], {}]
    assert not any(b"token" in value or b"t=abc" in value for value in job.values())
