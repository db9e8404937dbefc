"""Every route needs its right, and a key of one domain reaches nothing of another: the whole matrix,
made from the table of routes."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import MagicMock

import falcon.inspect
import httpx
import pytest

from api.app import build
from api.auth import NEEDED
from imagestore.grants import RIGHTS
from tests.pictures import RED, encode, plain
from tests.servers import ROOT, wait_until
from tests.taskstack import TaskStack, task_stack

LIMITED_OF_SETTINGS = "limited-key-0123456789"
PICTURE = encode(plain(RED, 8, 8), "png").data
URL = "http://127.0.0.1:1/a.png"

GUARDED = [
    (route, method, right)
    for route, methods in NEEDED.items()
    for method, right in methods.items()
    if right is not None
]


@dataclass
class Things:
    """A stack with keys of every kind, and what there is in the domains `cats` and `dogs`."""

    stack: TaskStack
    keys: dict[str, str] = field(default_factory=dict)

    def make_key(self, **members: Any) -> tuple[int, str]:
        answer = self.stack.http.post("/keys", json={"name": "test", **members})
        assert answer.status_code == 201, answer.text
        return answer.json()["id"], answer.json()["key"]

    def image(self, domain: str) -> int:
        answer = self.stack.http.put(f"/{domain}/tom", content=PICTURE)
        assert answer.status_code in (200, 201), answer.text
        return int(answer.json()["id"])

    def task(self, domain: str) -> int:
        return int(self.stack.download(URL, domain=domain)["id"])

    def ask(self, route: str, method: str, domain: str, key: str | None, prefix: str = "") -> httpx.Response:
        """Use a route on something of `domain`, which is there."""
        path, members = REQUESTS[route, method](self, domain)
        headers = {"Authorization": f"Bearer {key}"} if key else {"Authorization": ""}
        headers |= members.pop("headers", {})
        return self.stack.http.request(method, prefix + path, headers=headers, **members)


Request = Callable[[Things, str], tuple[str, dict[str, Any]]]

LINE = {"url": URL, "mode": "async"}

REQUESTS: dict[tuple[str, str], Request] = {
    ("/image/upload", "POST"): lambda t, d: (f"/image/upload?domain={d}&dkey=tom", {"content": PICTURE}),
    ("/image/download", "POST"): lambda t, d: ("/image/download", {"json": {"url": URL, "domain": d}}),
    ("/images", "POST"): lambda t, d: (f"/images?domain={d}&dkey=tom", {"content": PICTURE}),
    ("/images/pregenerate", "POST"): lambda t, d: (f"/images/pregenerate?domain={d}", {}),
    ("/images/{image_id}", "PUT"): lambda t, d: (f"/images/{t.image(d)}", {"content": PICTURE}),
    ("/images/{image_id}", "PATCH"): lambda t, d: (
        f"/images/{t.image(d)}",
        {"json": {"user_metadata": {"a": 1}}},
    ),
    ("/images/{image_id}", "DELETE"): lambda t, d: (f"/images/{t.image(d)}", {}),
    ("/audit", "GET"): lambda t, d: (f"/audit?domain={d}", {}),
    ("/domains", "GET"): lambda t, d: (f"/domains?domain={d}", {}),
    ("/keys", "GET"): lambda t, d: ("/keys", {}),
    ("/keys", "POST"): lambda t, d: ("/keys", {"json": {"name": "x", "rights": "read", "domains": [d]}}),
    ("/keys/{key_id}", "DELETE"): lambda t, d: (f"/keys/{t.make_key(rights='read', domains=[d])[0]}", {}),
    ("/overview", "GET"): lambda t, d: ("/overview", {}),
    ("/signed-urls", "POST"): lambda t, d: (
        "/signed-urls",
        {"json": {"urls": [f"/image/read?id={t.image(d)}", f"/{d}/tom"]}},
    ),
    ("/upload-tokens", "POST"): lambda t, d: ("/upload-tokens", {"json": {"domain": d}}),
    ("/tasks", "GET"): lambda t, d: (f"/tasks?domain={d}", {}),
    ("/tasks", "POST"): lambda t, d: ("/tasks", {"json": [{"url": URL, "domain": d}]}),
    ("/tasks/summary", "GET"): lambda t, d: (f"/tasks/summary?domain={d}", {}),
    ("/tasks/retry", "POST"): lambda t, d: (f"/tasks/retry?flag=failed&domain={d}", {}),
    ("/tasks/{task_id}", "GET"): lambda t, d: (f"/tasks/{t.task(d)}", {}),
    ("/tasks/{task_id}", "DELETE"): lambda t, d: (f"/tasks/{t.task(d)}", {}),
    ("/tasks/{task_id}/retry", "POST"): lambda t, d: (f"/tasks/{t.task(d)}/retry", {}),
    ("/{domain}/{dkey:path}", "PUT"): lambda t, d: (f"/{d}/tom", {"content": PICTURE}),
    ("/{domain}/{dkey:path}", "DELETE"): lambda t, d: (t.image(d) and f"/{d}/tom", {}),
}
"""A request for each guarded route, about a domain's things. A new route needs a line here."""

OF_NO_DOMAIN = {"/keys", "/keys/{key_id}"}
"""Routes that a key of some domains may not use at all."""


@pytest.fixture(scope="module")
def things(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Things]:
    limited = f"{LIMITED_OF_SETTINGS}=cats"
    with task_stack(
        tmp_path_factory.mktemp("rights"), API_KEYS=limited, PRESETS="thumb=width=20", API_WORKERS="2"
    ) as stack:
        things = Things(stack)
        for right in RIGHTS:
            things.keys[right] = things.make_key(rights=right)[1]
            things.keys[f"{right} of cats"] = things.make_key(rights=right, domains=["cats"])[1]
        things.keys["settings of cats"] = LIMITED_OF_SETTINGS
        yield things


def problem(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json().get("type", "").removeprefix("/problems/")


def allowed(answer: httpx.Response) -> bool:
    """The route did its work, or said why not, but not for want of rights."""
    return answer.status_code < 500 and answer.status_code not in (401, 403, 404)


def test_every_route_of_the_application_has_a_declared_right() -> None:
    app = build(MagicMock())

    found = {
        (route.path.removeprefix("/v1") or "/", method.method)
        for route in falcon.inspect.inspect_routes(app)
        for method in route.methods
        if not method.internal and method.method not in ("HEAD", "OPTIONS")
    }

    declared = {(route, method) for route, methods in NEEDED.items() for method in methods}
    assert found == declared


def test_every_guarded_route_is_asked_below() -> None:
    assert set(REQUESTS) == {(route, method) for route, method, _ in GUARDED}


def test_the_documents_have_the_table_of_rights() -> None:
    text = (ROOT / "docs" / "http-api.md").read_text()

    for route, method, right in GUARDED:
        path = route.replace("{dkey:path}", "{dkey}").replace("_id}", "}").replace("{image}", "{id}")
        path = path.replace("{task}", "{id}").replace("{key}", "{id}")
        rows = [line for line in text.splitlines() if line.startswith("|") and f"| `{right}` |" in line]
        assert any(f"`{method} {path}`" in row for row in rows), (
            f"{method} {path} is not said to need {right}"
        )


@pytest.mark.parametrize(("route", "method", "right"), GUARDED)
def test_a_route_needs_its_right(things: Things, route: str, method: str, right: str) -> None:
    for held, key in things.keys.items():
        if held.endswith("of cats"):
            continue
        for prefix in ("", "/v1"):
            answer = things.ask(route, method, "cats", key, prefix)

            if RIGHTS.index(held) < RIGHTS.index(right):  # type: ignore[arg-type]  # it is one of them
                assert problem(answer) == (403, "forbidden"), (held, answer.text)
            else:
                assert allowed(answer), (held, answer.text)


@pytest.mark.parametrize(("route", "method", "right"), GUARDED)
def test_a_route_needs_a_known_key(things: Things, route: str, method: str, right: str) -> None:
    for key in (None, "guess-0123456789abcdef", "isk_" + "a" * 43):
        answer = things.ask(route, method, "cats", key)

        assert problem(answer) == (401, "unauthenticated")
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize(("route", "method", "right"), GUARDED)
def test_a_key_of_one_domain_reaches_nothing_of_another(
    things: Things, route: str, method: str, right: str
) -> None:
    for held in (f"{right} of cats", "settings of cats"):
        own, other = (things.ask(route, method, domain, things.keys[held]) for domain in ("cats", "dogs"))

        if route == "/tasks" and method == "POST":
            assert own.json()["rejected"] == []
            assert other.json()["tasks"] == []
            assert other.json()["rejected"][0]["problem"] == "forbidden"
            continue
        if route == "/overview":
            # It names no domain; what it shows is tested below.
            assert allowed(own)
            continue
        if route == "/signed-urls":
            assert None not in own.json()["urls"]
            assert other.json()["urls"] == [None, None]
            continue
        assert problem(other) == (403, "forbidden"), other.text
        assert allowed(own) is (route not in OF_NO_DOMAIN), own.text


def test_what_needs_no_domain_shows_a_limited_key_its_own_only(things: Things) -> None:
    ids = {things.task("cats"), things.task("dogs")}
    auth = {"Authorization": f"Bearer {things.keys['read of cats']}"}

    listed = things.stack.http.get("/tasks?limit=1000", headers=auth).json()["tasks"]

    assert {task["domain"] for task in listed} == {"cats"}
    assert len(ids & {task["id"] for task in listed}) == 1


def test_the_overview_of_a_limited_key_is_of_its_domains(things: Things) -> None:
    auth = {"Authorization": f"Bearer {things.keys['read of cats']}"}
    things.image("cats")
    things.task("cats")
    before = things.stack.http.get("/overview", headers=auth).json()

    things.stack.http.put("/dogs/rex", content=PICTURE)
    things.stack.http.put("/cats/other", content=encode(plain(RED, 9, 9), "png").data)
    after = things.stack.http.get("/v1/overview", headers=auth).json()
    whole = things.stack.http.get("/overview").json()

    assert (after["images"] - before["images"], after["domains"]) == (1, 1)
    assert whole["domains"] > 1
    of_the_server = ("queues", "cache", "store", "nginx", "pictures", "problems")
    assert [after[name] for name in of_the_server] == [None] * 6
    # There is no nginx in this stack.
    assert [name for name in of_the_server if whole[name] is None] == ["nginx"]


def test_tasks_of_all_domains_are_retried_by_administrators_only(things: Things) -> None:
    answers = {
        held: things.stack.http.post("/tasks/retry?flag=failed", headers={"Authorization": f"Bearer {key}"})
        for held, key in things.keys.items()
        if held != "settings of cats"
    }

    assert {held for held, answer in answers.items() if answer.status_code == 202} == {
        "admin",
        "admin of cats",
    }


def test_marks_are_written_with_a_key_of_their_domain(things: Things) -> None:
    auth = {"Authorization": f"Bearer {things.keys['write of cats']}"}

    answers = [
        things.stack.http.put("/watermark/logo", content=PICTURE, headers=auth),
        things.stack.http.post("/image/upload?domain=watermark&dkey=logo", content=PICTURE, headers=auth),
        things.stack.http.post("/image/upload", content=PICTURE, headers=auth),
    ]

    assert [problem(answer) for answer in answers] == [(403, "forbidden")] * 3


def test_a_revoked_key_is_refused_by_every_process_within_seconds(things: Things) -> None:
    number, key = things.make_key(rights="read")
    auth = {"Authorization": f"Bearer {key}"}
    assert {things.stack.http.get("/tasks", headers=auth).status_code for _ in range(10)} == {200}

    things.stack.http.delete(f"/keys/{number}")

    def refused() -> bool:
        return {things.stack.http.get("/tasks", headers=auth).status_code for _ in range(10)} == {401}

    wait_until(refused, what="the end of the key")


def test_a_key_is_shown_once_and_its_wishes_are_checked(things: Things) -> None:
    number, key = things.make_key(rights="write", domains=["cats"], expires_in_s=3600)

    listed = things.stack.http.get("/keys")

    (shown,) = [one for one in listed.json()["keys"] if one["id"] == number]
    assert (shown["name"], shown["rights"], shown["domains"]) == ("test", "write", ["cats"])
    assert key not in listed.text
    for wrong in (
        {},
        {"name": "x"},
        {"name": "x", "rights": "all"},
        {"name": "", "rights": "read"},
        {"name": "x", "rights": "read", "domains": []},
        {"name": "x", "rights": "read", "domains": ["tasks"]},
        {"name": "x", "rights": "read", "expires_in_s": 0},
        {"name": "x", "rights": "read", "expires_in_s": True},
        {"name": "x", "rights": "read", "role": "boss"},
    ):
        assert things.stack.http.post("/keys", json=wrong).status_code == 400, wrong


def test_refusals_are_logged_with_the_key_and_no_secret(things: Things) -> None:
    number, key = things.make_key(rights="read")

    answer = things.stack.http.put("/cats/tom", content=PICTURE, headers={"Authorization": f"Bearer {key}"})

    log = (things.stack.folder / "api.log").read_text()
    request_id = json.loads(answer.text)["instance"]
    assert re.search(f"refused problem=forbidden .* request_id={request_id} key_id={number}\n", log)
    assert key not in log
    assert LIMITED_OF_SETTINGS not in log
