"""A URL becomes a stored picture, or a reason that a person can act on."""

import hashlib
import secrets
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from imagestore.ledger import Quota
from imagestore.usagecatalog import UsageCatalog
from tests import pictures
from tests.origin import Origin, answer, hang, origin, redirect, reset, versioned
from tests.servers import wait_until
from tests.taskstack import TaskStack, task_stack

PNG = pictures.encode(pictures.texture(80, 60), "png")
JPEG = pictures.encode(pictures.texture(80, 60), "jpeg")


@pytest.fixture
def path() -> str:
    """A path of the origin that no other test uses."""
    return f"/{secrets.token_hex(8)}"


def test_download_stores_the_picture_and_says_where(
    shared_tasks: TaskStack, pictures_origin: Origin, path: str
) -> None:
    pictures_origin.paths[path] = redirect(f"{path}.png")
    pictures_origin.paths[f"{path}.png"] = answer(headers={"Content-Type": "image/png"}, body=PNG.data)

    members = {"domain": "d", "dkey": path, "metadata": {"a": 1}, "page_url": "https://example.org/page"}
    task = shared_tasks.ended(shared_tasks.download(pictures_origin.url(path), **members)["id"])

    assert (task["flag"], task["flag_ext"], task["attempts"]) == ("succeed", None, 1)
    assert task["final_url"] == pictures_origin.url(f"{path}.png")
    assert task["page_url"] == "https://example.org/page"
    assert task["sha256"] == hashlib.sha256(PNG.data).hexdigest()
    assert task["duration_ms"] > 0
    image = shared_tasks.http.get(f"/images/{task['image_id']}").json()
    assert (image["dkey"], image["width"], image["user_metadata"]) == (path, 80, {"a": 1})


@pytest.mark.parametrize(
    ("behaviour", "flag_ext"),
    [
        (answer(404), "http-404: origin answered 404 Not Found"),
        (
            answer(headers={"Content-Type": "text/html; charset=utf-8"}, body=b"<html>Log in</html>"),
            "unsupported-media-type: the server claimed text/html; the first bytes are of no known format",
        ),
        (answer(body=b"no picture"), "unsupported-media-type: the first bytes are of no known format"),
        (answer(body=PNG.data[:40]), "image-invalid: "),
        (redirect("http://169.254.169.254/latest"), "fetch-target-forbidden: "),
        (redirect("ftp://example.org/a.png"), "redirects: "),
    ],
)
def test_what_will_not_pass_fails_at_once(
    shared_tasks: TaskStack, pictures_origin: Origin, path: str, behaviour: object, flag_ext: str
) -> None:
    pictures_origin.paths[path] = behaviour  # type: ignore[assignment]  # a behaviour, of several kinds

    task = shared_tasks.ended(shared_tasks.download(pictures_origin.url(path))["id"])

    assert task["flag"] == "failed"
    assert task["attempts"] == 1
    assert task["flag_ext"].startswith(flag_ext)
    assert task["problem"] == flag_ext.partition(":")[0]
    assert task["image_id"] is None


def test_what_may_pass_is_tried_again(shared_tasks: TaskStack, pictures_origin: Origin, path: str) -> None:
    failures = iter([answer(503), reset])
    good = answer(body=PNG.data)
    pictures_origin.paths[path] = lambda exchange: next(failures, good)(exchange)

    task = shared_tasks.ended(shared_tasks.download(pictures_origin.url(path), dkey=path)["id"])

    assert (task["flag"], task["attempts"]) == ("succeed", 3)


def test_what_may_pass_fails_after_five_tries(
    shared_tasks: TaskStack, pictures_origin: Origin, path: str
) -> None:
    pictures_origin.paths[path] = answer(body=PNG.data, length=len(PNG.data) + 1)

    task = shared_tasks.ended(shared_tasks.download(pictures_origin.url(path))["id"], timeout_s=60)

    assert (task["flag"], task["attempts"], task["problem"]) == ("failed", 5, "cut-short")


def test_retry_after_is_honoured(shared_tasks: TaskStack, pictures_origin: Origin, path: str) -> None:
    pictures_origin.paths[path] = answer(429, {"Retry-After": "3000"})

    task_id = shared_tasks.download(pictures_origin.url(path))["id"]
    wait_until(lambda: shared_tasks.task(task_id)["problem"] == "http-429", what="the first try")

    task = shared_tasks.task(task_id)
    assert (task["flag"], task["attempts"]) == ("created", 1)
    tried, due = (datetime.fromisoformat(task[name]) for name in ("update_time", "next_time"))
    assert due - tried == timedelta(seconds=3000)


def test_the_same_bytes_again_are_a_warning_and_not_asked_for_in_full(
    shared_tasks: TaskStack, pictures_origin: Origin, path: str
) -> None:
    pictures_origin.paths[path] = versioned(PNG.data, etag='"v1"')
    url = pictures_origin.url(path)

    first = shared_tasks.ended(shared_tasks.download(url, dkey=path)["id"])
    second = shared_tasks.ended(shared_tasks.download(url, dkey=path)["id"])

    assert first["flag"] == "succeed"
    assert (second["flag"], second["problem"]) == ("warning", "unchanged")
    assert second["image_id"] == first["image_id"]
    asked = [
        request.headers.get("if-none-match") for request in pictures_origin.requests if request.target == path
    ]
    assert asked == [None, '"v1"']


def test_another_type_than_claimed_is_a_warning(
    shared_tasks: TaskStack, pictures_origin: Origin, path: str
) -> None:
    pictures_origin.paths[path] = answer(headers={"Content-Type": "image/gif"}, body=JPEG.data)

    task = shared_tasks.ended(shared_tasks.download(pictures_origin.url(path), dkey=path)["id"])

    assert task["flag_ext"] == "type-differs: the server claimed image/gif, the bytes are image/jpeg"
    assert task["flag"] == "warning"


@pytest.mark.parametrize("format", ["jpeg", "png", "gif", "webp", "tiff", "bmp"])
def test_truncated_picture_is_stored_with_a_warning(
    shared_tasks: TaskStack, pictures_origin: Origin, path: str, format: str
) -> None:
    whole = pictures.encode(pictures.texture(300, 200), format)
    pictures_origin.paths[path] = answer(body=whole.cut(0.7).data)

    task = shared_tasks.ended(shared_tasks.download(pictures_origin.url(path), dkey=path)["id"])

    assert task["flag_ext"] == "truncated: the picture is cut short; what is there of it was stored"
    assert task["flag"] == "warning"
    image = shared_tasks.http.get(f"/images/{task['image_id']}").json()
    assert (image["format"], image["width"], image["height"]) == (format, 300, 200)
    thumbnail = shared_tasks.http.get(f"/image/read?id={task['image_id']}&width=30")
    assert thumbnail.status_code == 200
    upload = shared_tasks.http.post("/image/upload", files={"file": ("x", whole.cut(0.7).data)})
    assert (upload.status_code, upload.json()["type"]) == (422, "/problems/image-invalid")


def test_truncated_picture_that_nothing_can_be_shown_of_fails(
    shared_tasks: TaskStack, pictures_origin: Origin, path: str
) -> None:
    # Compressed TIFF has its directory at the end.
    whole = pictures.encode(pictures.texture(300, 200), "tiff", compression="tiff_lzw")
    pictures_origin.paths[path] = answer(body=whole.cut(0.7).data)

    task = shared_tasks.ended(shared_tasks.download(pictures_origin.url(path), dkey=path)["id"])

    assert (task["flag"], task["problem"]) == ("failed", "image-invalid")


def test_other_bytes_under_a_taken_name_need_overwrite(
    shared_tasks: TaskStack, pictures_origin: Origin, path: str
) -> None:
    url = pictures_origin.url(path)
    pictures_origin.paths[path] = answer(body=PNG.data)
    first = shared_tasks.ended(shared_tasks.download(url, dkey=path)["id"])
    pictures_origin.paths[path] = answer(body=JPEG.data)

    refused = shared_tasks.ended(shared_tasks.download(url, dkey=path)["id"])
    replaced = shared_tasks.ended(shared_tasks.download(url, dkey=path, overwrite=True)["id"])

    assert (refused["flag"], refused["problem"]) == ("failed", "key-conflict")
    assert (replaced["flag"], replaced["image_id"]) == ("succeed", first["image_id"])
    assert replaced["sha256"] == hashlib.sha256(JPEG.data).hexdigest()


def test_failed_task_starts_over_when_asked(
    shared_tasks: TaskStack, pictures_origin: Origin, path: str
) -> None:
    pictures_origin.paths[path] = answer(404)
    task_id = shared_tasks.download(pictures_origin.url(path), dkey=path)["id"]
    shared_tasks.ended(task_id)
    pictures_origin.paths[path] = answer(body=PNG.data)

    accepted = shared_tasks.http.post(f"/tasks/{task_id}/retry")

    assert (accepted.status_code, accepted.json()["flag"]) == (202, "created")
    assert shared_tasks.ended(task_id)["flag"] == "succeed"
    again = shared_tasks.http.post(f"/tasks/{task_id}/retry")
    assert (again.status_code, again.json()["type"]) == (409, "/problems/task-conflict")


def test_sync_download_answers_with_the_image_or_the_problem(
    shared_tasks: TaskStack, pictures_origin: Origin, path: str
) -> None:
    pictures_origin.paths[path] = answer(body=PNG.data)

    def download(url: str) -> tuple[int, str]:
        answer = shared_tasks.http.post("/image/download", json={"url": url, "dkey": path, "mode": "sync"})
        return answer.status_code, answer.json().get("dkey") or answer.json()["type"]

    assert download(pictures_origin.url(path)) == (201, path)
    assert download(pictures_origin.url(path)) == (200, path)
    assert download(pictures_origin.url("/nothing")) == (422, "/problems/fetch-failed")
    missing = {"url": pictures_origin.url("/nothing"), "mode": "sync"}
    assert shared_tasks.http.post("/image/download", json=missing).json()["reason"] == "http-404"
    assert download("http://127.0.0.1:1/") == (403, "/problems/fetch-target-forbidden")
    assert download("gopher://example.org/") == (400, "/problems/invalid-url")


def test_a_slow_host_does_not_hold_up_the_others(tmp_path: Path, pictures_origin: Origin, path: str) -> None:
    pictures_origin.paths[path] = answer(body=PNG.data)
    with origin({"/": hang}, host="127.0.0.2") as slow:
        allow = {
            "FETCH_ALLOW": f"{pictures_origin.service},{slow.service}",
            "FETCH_CONCURRENCY_PER_HOST": "2",
        }
        with task_stack(tmp_path / "tasks", pictures_origin, **allow) as stack:
            lines = [{"url": slow.url("/"), "dkey": f"slow{n}"} for n in range(60)]
            assert stack.http.post("/tasks", json=lines).status_code == 202
            stack.start_worker()
            wait_until(lambda: len(slow.requests) == 2, what="two downloads that hang")

            task = stack.ended(stack.download(pictures_origin.url(path))["id"], timeout_s=15)

            assert task["flag"] == "succeed"
            assert len(slow.requests) == 2


def test_a_task_acts_in_the_name_of_the_key_that_handed_it_in(
    shared_tasks: TaskStack, pictures_origin: Origin, path: str
) -> None:
    key = shared_tasks.http.post("/keys", json={"name": "fetcher", "rights": "write"}).json()
    pictures_origin.paths[path] = answer(body=PNG.data)

    wish = {"url": pictures_origin.url(path), "domain": "audited"}
    taken = shared_tasks.http.post(
        "/image/download", json=wish, headers={"Authorization": f"Bearer {key['key']}"}
    )
    shared_tasks.ended(taken.json()["id"])

    (entry,) = shared_tasks.http.get("/audit?domain=audited").json()["entries"]
    assert (entry["action"], entry["key_id"]) == ("create", str(key["id"]))
    assert (entry["request_id"], entry["address"]) == (f"task {taken.json()['id']}", None)


def test_a_task_fails_when_its_domain_is_full(
    shared_tasks: TaskStack, pictures_origin: Origin, path: str
) -> None:
    pictures_origin.paths[path] = answer(body=PNG.data)
    with closing(UsageCatalog(f"sqlite:///{shared_tasks.folder}/data/imagestore.db")) as usage:
        usage.set_quota("small", Quota(max_images=0))

    task = shared_tasks.ended(shared_tasks.download(pictures_origin.url(path), domain="small")["id"])

    assert (task["flag"], task["problem"]) == ("failed", "insufficient-storage")
