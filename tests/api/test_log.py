"""One request id goes from nginx to the API, to the job, and into every line about it."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests import pictures
from tests.imagestack import ImageStack, image_stack
from tests.origin import answer, origin
from tests.servers import wait_until
from tests.taskstack import task_stack


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ImageStack]:
    with image_stack(tmp_path_factory.mktemp("log"), LOG_FORMAT="json") as running:
        yield running


def lines(path: Path, **wanted: str) -> list[dict[str, Any]]:
    """The lines of a log with these fields; each line has to be JSON."""
    found = [json.loads(line) for line in path.read_text().splitlines()]
    return [line for line in found if wanted.items() <= line.items()]


def test_id_that_a_client_gives_is_kept_through_all_of_it(stack: ImageStack) -> None:
    body = pictures.encode(pictures.plain((9, 8, 7)), "png").data

    stored = stack.writer.put("/log/a.png", content=body, headers={"X-Request-Id": "from-a-proxy.1"})

    assert stored.headers.get_list("X-Request-Id") == ["from-a-proxy.1"]
    (line,) = lines(stack.folder / "api.log", request_id="from-a-proxy.1")
    assert line["message"].startswith("stored ")
    assert line["image_id"] == stored.json()["id"]
    access = stack.folder / "nginx" / "access.log"
    wait_until(lambda: "request_id=from-a-proxy.1" in access.read_text(), what="nginx logs it")


def test_first_start_says_nothing_that_needs_a_person(stack: ImageStack) -> None:
    loud = [line for line in lines(stack.folder / "api.log") if line["level"] not in ("info", "debug")]

    assert loud == []


@pytest.mark.parametrize("given", ["short", "a b c d e f g", "x" * 65, 'quote"quote"', "1234567\u00e9"])
def test_other_ids_are_replaced(stack: ImageStack, given: str) -> None:
    for address in (stack.address, f"http://127.0.0.1:{stack.api.port}"):
        raw = given.encode("latin-1")
        received = httpx.get(f"{address}/images/999999", headers=[(b"X-Request-Id", raw)])

        assert re.fullmatch("[0-9a-f]{32}", received.headers["X-Request-Id"])
        assert received.json()["instance"] == received.headers["X-Request-Id"]


def test_refused_upload_leaves_a_line_with_the_reason(stack: ImageStack) -> None:
    refused = stack.writer.put("/log/b.png", content=b"no picture at all, certainly not one that is known")

    (line,) = lines(stack.folder / "api.log", request_id=refused.json()["instance"])
    assert refused.status_code == 415
    assert (line["level"], line["problem"]) == ("info", "unsupported-media-type")
    assert line["detail"] == refused.json()["detail"]
    assert (line["method"], line["path"]) == ("PUT", "/log/b.png")


def test_batch_of_tasks_is_one_line_with_its_counts(stack: ImageStack) -> None:
    batch = [{"url": "http://example.org/1"}, {"url": "ftp://example.org/2"}, {"url": "http://example.org/3"}]
    taken = stack.writer.post("/tasks", json=batch)

    (line,) = lines(stack.folder / "api.log", request_id=taken.headers["X-Request-Id"])
    assert taken.status_code == 202
    assert (line["level"], line["tasks"], line["rejected"]) == ("info", 2, 1)


def test_reads_that_find_nothing_are_no_line_of_the_api(stack: ImageStack) -> None:
    missing = stack.http.get("/log/nothing.png")

    assert missing.status_code == 404
    assert lines(stack.folder / "api.log", request_id=missing.json()["instance"]) == []


def test_job_of_a_task_logs_the_request_that_it_goes_back_to(tmp_path: Path) -> None:
    body = pictures.encode(pictures.plain((9, 8, 6)), "png").data
    with (
        origin({"/a.png": answer(body=body)}) as server,
        task_stack(
            tmp_path / "tasks", server, LOG_FORMAT="json", PRESETS="thumb=width=20&format=webp"
        ) as tasks,
    ):
        tasks.start_worker()
        wanted = {"url": server.url("/a.png"), "domain": "log", "dkey": "far.png"}
        headers = {"X-Request-Id": "request-of-the-task"}
        task = tasks.http.post("/image/download", json=wanted, headers=headers).json()
        tasks.ended(task["id"])
        taken = lines(tasks.folder / "api.log", request_id="request-of-the-task")
        worked = tasks.folder / "worker.log"
        wait_until(lambda: "outcome=succeed" in worked.read_text(), what="the worker logs it")

        done = lines(worked, request_id="request-of-the-task")

    assert [line["task_id"] for line in taken] == [task["id"]]
    assert any(line["message"].startswith("stored ") for line in done)
    assert any(line.get("outcome") == "succeed" and line["task_id"] == task["id"] for line in done)
