"""Tasks from outside, without a worker: they are taken, listed, counted, withdrawn."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.mariadb import MariaDB
from tests.taskstack import TaskStack, task_stack

LIMITED_KEY = "limited-key-0123456789"


@pytest.fixture(scope="module")
def tasks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TaskStack]:
    keys = {"API_KEYS": f"{LIMITED_KEY}=cats"}
    with task_stack(tmp_path_factory.mktemp("tasks"), **keys) as stack:
        yield stack


def post_lines(stack: TaskStack, lines: list[Any], **headers: str) -> httpx.Response:
    body = b"".join(line if isinstance(line, bytes) else json.dumps(line).encode() + b"\n" for line in lines)
    return stack.http.post(
        "/tasks", content=body, headers={"Content-Type": "application/x-ndjson", **headers}
    )


def assert_problem(answer: httpx.Response, status: int, name: str) -> None:
    assert (answer.status_code, answer.json()["type"]) == (status, f"/problems/{name}"), answer.text


def test_download_is_taken_as_a_task(tasks: TaskStack) -> None:
    answer = tasks.http.post("/v1/image/download", json={"url": "http://example.org/a.png", "dkey": "a"})

    task = answer.json()
    assert answer.status_code == 202
    assert answer.headers["Location"] == f"/v1/tasks/{task['id']}"
    assert (task["flag"], task["domain"], task["dkey"]) == ("created", "default", "a")
    assert tasks.task(task["id"]) == task


@pytest.mark.parametrize(
    ("body", "status", "name"),
    [
        ({"url": "ftp://example.org/"}, 400, "invalid-url"),
        ({"url": "http://user@example.org/"}, 400, "invalid-url"),
        ({"url": "http://example.org/" + "a" * 2048}, 400, "invalid-url"),
        ({}, 400, "invalid-url"),
        ({"url": 7}, 400, "invalid-parameter"),
        ({"url": "http://example.org/", "callback": "javascript:1"}, 400, "invalid-url"),
        ({"url": "http://example.org/", "domain": "tasks"}, 400, "invalid-key"),
        ({"url": "http://example.org/", "dkey": "a/../b"}, 400, "invalid-key"),
        ({"url": "http://example.org/", "metadata": []}, 400, "invalid-parameter"),
        ({"url": "http://example.org/", "metadata": [1]}, 400, "invalid-parameter"),
        ({"url": "http://example.org/", "colour": "red"}, 400, "invalid-request"),
        ({"url": "http://example.org/", "mode": "later"}, 400, "invalid-parameter"),
        ([], 400, "invalid-request"),
    ],
)
def test_download_that_cannot_be_understood(tasks: TaskStack, body: Any, status: int, name: str) -> None:
    assert_problem(tasks.http.post("/image/download", json=body), status, name)


@pytest.mark.parametrize(
    ("body", "words"),
    [({}, "url is missing"), ({"url": "ftp://example.org/"}, "the URL is not one of http or https")],
)
def test_download_without_a_usable_url_is_told_what_is_wrong(tasks: TaskStack, body: Any, words: str) -> None:
    assert tasks.http.post("/image/download", json=body).json()["detail"].startswith(words)


def test_pregeneration_without_a_domain_is_told_that_it_is_missing(tasks: TaskStack) -> None:
    answer = tasks.http.post("/images/pregenerate")

    assert_problem(answer, 400, "invalid-key")
    assert answer.json()["detail"].startswith("domain is missing")


def test_batch_takes_good_lines_and_reports_bad_ones_by_number(tasks: TaskStack) -> None:
    good = {"url": "http://example.org/good.png", "domain": "batch"}

    answer = post_lines(
        tasks, [good, b"{broken\n", {"url": "x"}, b"\n", b"x" * 300_000 + b"\n", good, b"7\n"]
    )

    assert answer.status_code == 202
    taken = answer.json()["tasks"]
    assert [(one["line"], one["url"]) for one in taken] == [(1, good["url"]), (6, good["url"])]
    assert [(one["line"], one["problem"]) for one in answer.json()["rejected"]] == [
        (2, "invalid-request"),
        (3, "invalid-url"),
        (5, "invalid-request"),
        (7, "invalid-request"),
    ]
    assert tasks.task(taken[1]["id"])["url"] == good["url"]


def test_batch_may_be_a_json_list(tasks: TaskStack) -> None:
    answer = tasks.http.post(
        "/tasks", json=[{"url": "http://example.org/1"}, 5, {"url": "http://example.org/2"}]
    )

    assert answer.status_code == 202
    assert [one["line"] for one in answer.json()["tasks"]] == [1, 3]
    assert [one["line"] for one in answer.json()["rejected"]] == [2]


def test_batch_of_ten_thousand_lines_is_taken_once(tasks: TaskStack) -> None:
    lines = [{"url": f"http://example.org/{n}", "domain": "many"} for n in range(10_000)]

    first = post_lines(tasks, lines, **{"Idempotency-Key": "batch-1"}).json()
    second = post_lines(tasks, lines, **{"Idempotency-Key": "batch-1"}).json()

    assert len(first["tasks"]) == 10_000
    assert first == second
    assert tasks.http.get("/tasks/summary?domain=many").json()["total"] == 10_000


def test_idempotency_key_with_another_batch_is_noticed(tasks: TaskStack) -> None:
    header = {"Idempotency-Key": "batch-2"}
    post_lines(tasks, [{"url": "http://example.org/1"}], **header)

    other = post_lines(
        tasks, [{"url": "http://example.org/2"}, {"url": "http://example.org/3"}], **header
    ).json()

    assert [(one["line"], one["problem"]) for one in other["rejected"]] == [(1, "task-conflict")]
    assert [one["line"] for one in other["tasks"]] == [2]


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("domain", "other"),
        ("dkey", "another"),
        ("dkey", None),
        ("page_url", "http://example.org/other-page"),
        ("metadata", {"n": True}),
        ("callback", "http://example.org/other-hook"),
        ("overwrite", True),
    ],
)
def test_idempotency_key_with_another_wish_is_a_conflict(tasks: TaskStack, member: str, value: Any) -> None:
    header = {"Idempotency-Key": f"wish-{member}-{value is None}"}
    wish = {
        "url": "http://example.org/wish",
        "domain": "wish",
        "dkey": "a",
        "page_url": "http://example.org/page",
        "metadata": {"n": 1, "list": [1.5, None, "é"]},
        "callback": "http://example.org/hook",
        "overwrite": False,
    }

    first = post_lines(tasks, [wish], **header).json()
    again = post_lines(tasks, [wish], **header).json()
    other = post_lines(tasks, [{**wish, member: value}], **header).json()
    alone = [
        tasks.http.post("/image/download", json=body, headers=header)
        for body in (wish, wish, {**wish, member: value})
    ]

    assert first == again
    assert other["tasks"] == []
    (rejected,) = other["rejected"]
    assert (rejected["line"], rejected["problem"]) == (1, "task-conflict")
    assert rejected["detail"].endswith(f"and another {member}")
    assert [answer.status_code for answer in alone] == [202, 202, 409]
    assert alone[0].json()["id"] == alone[1].json()["id"]


def test_idempotent_download_is_one_task(tasks: TaskStack) -> None:
    def post() -> int:
        header = {"Idempotency-Key": "one"}
        answer = tasks.http.post("/image/download", json={"url": "http://example.org/one"}, headers=header)
        return int(answer.json()["id"])

    assert post() == post()


@pytest.mark.parametrize("order", ["oldest", "newest"])
def test_pages_of_tasks_follow_each_other(tasks: TaskStack, order: str) -> None:
    domain = f"paged-{order}"
    taken = post_lines(tasks, [{"url": f"http://example.org/{n}", "domain": domain} for n in range(5)]).json()

    seen, next_page = [], f"/tasks?domain={domain}&flag=created&limit=2&order={order}"
    while next_page:
        page = tasks.http.get(next_page).json()
        assert len(page["tasks"]) <= 2
        seen += [task["id"] for task in page["tasks"]]
        next_page = page["next"]

    ids = [one["id"] for one in taken["tasks"]]
    assert seen == (ids if order == "oldest" else ids[::-1])
    assert tasks.http.get(f"/tasks?domain={domain}&flag=failed").json() == {"tasks": [], "next": None}


@pytest.mark.parametrize(
    "query", ["flag=open", "limit=0", "limit=1001", "after=x", "domain=A", "order=up", "size=1"]
)
def test_lists_that_cannot_be_understood(tasks: TaskStack, query: str) -> None:
    answer = tasks.http.get(f"/tasks?{query}")

    assert answer.status_code == 400
    assert query.partition("=")[0] in answer.json()["detail"]


def test_task_that_waits_can_be_withdrawn(tasks: TaskStack) -> None:
    task_id = tasks.download("http://example.org/withdrawn")["id"]

    assert tasks.http.delete(f"/tasks/{task_id}").status_code == 204

    assert_problem(tasks.http.get(f"/tasks/{task_id}"), 404, "task-not-found")
    assert_problem(tasks.http.delete(f"/tasks/{task_id}"), 404, "task-not-found")


def test_only_failed_tasks_are_retried(tasks: TaskStack) -> None:
    task_id = tasks.download("http://example.org/waits")["id"]

    assert_problem(tasks.http.post(f"/tasks/{task_id}/retry"), 409, "task-conflict")
    assert_problem(tasks.http.post("/tasks/retry?flag=succeed"), 400, "invalid-parameter")
    assert tasks.http.post("/tasks/retry?flag=failed&reason=http-404").json() == {"retried": 0}


def test_tasks_are_not_for_the_public(tasks: TaskStack) -> None:
    for method, path in [
        ("GET", "/tasks"),
        ("GET", "/tasks/1"),
        ("POST", "/tasks"),
        ("GET", "/tasks/summary"),
    ]:
        answer = tasks.http.request(method, path, headers={"Authorization": "none"})
        assert_problem(answer, 401, "unauthenticated")


def test_limited_key_sees_and_makes_tasks_of_its_domains_only(tasks: TaskStack) -> None:
    limited = {"Authorization": f"Bearer {LIMITED_KEY}"}
    dogs = tasks.download("http://example.org/", domain="dogs")["id"]
    lines = [{"url": "http://example.org/", "domain": domain} for domain in ("cats", "dogs")]

    batch = post_lines(tasks, lines, **limited).json()
    seen = tasks.http.get("/tasks", headers=limited).json()["tasks"]

    assert [one["line"] for one in batch["tasks"]] == [1]
    assert [(one["line"], one["problem"]) for one in batch["rejected"]] == [(2, "forbidden")]
    assert {task["domain"] for task in seen} == {"cats"}
    assert tasks.http.get("/tasks/summary", headers=limited).json()["total"] == 1
    assert_problem(tasks.http.get(f"/tasks/{dogs}", headers=limited), 403, "forbidden")
    assert_problem(tasks.http.get("/tasks?domain=dogs", headers=limited), 403, "forbidden")


def test_database_away_is_503_and_needs_no_restart(tmp_path: Path, mariadb: MariaDB) -> None:
    body = {"url": "http://example.org/"}
    with (
        mariadb.database() as name,
        task_stack(tmp_path / "tasks", DATABASE_URL=mariadb.url(name)) as stack,
    ):
        before = stack.http.post("/image/download", json=body)
        mariadb.server.kill()
        away = stack.http.post("/image/download", json=body)
        mariadb.server.start()
        after = stack.http.post("/image/download", json=body)

    assert (before.status_code, after.status_code) == (202, 202)
    assert_problem(away, 503, "database-unavailable")
