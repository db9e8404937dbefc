"""Upload tokens: one picture each, however many try at once, and only as they say."""

import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from imagestore.tokencatalog import TRIES
from tests.api.asking import assert_problem
from tests.imagestack import ImageStack, image_stack
from tests.pictures import RED, encode, plain
from tests.servers import wait_until

PNG = encode(plain(RED, 8, 8), "png").data
GIF = encode(plain(RED, 8, 8), "gif").data
PAGE = "https://pages.example"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ImageStack]:
    keys = {"API_KEYS": f"{'c' * 20}=cats"}
    with image_stack(tmp_path_factory.mktemp("tokens"), UPLOAD_ORIGINS=PAGE, **keys) as stack:
        yield stack


def token(stack: ImageStack, **members: Any) -> str:
    answer = stack.writer.post("/v1/upload-tokens", json={"domain": "cats", **members})
    assert answer.status_code == 201, answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    return str(answer.json()["token"])


def upload(stack: ImageStack, secret: str, body: bytes = PNG, **options: Any) -> httpx.Response:
    headers = {"Authorization": f"Bearer {secret}", **options.pop("headers", {})}
    return stack.http.post("/image/upload", content=body, headers=headers, **options)


def test_a_token_lets_one_picture_in_where_it_says(stack: ImageStack) -> None:
    secret = token(stack, dkey="one", content_types=["image/png"])

    first = stack.http.post(
        "/v1/image/upload",
        files={"file": ("x", PNG)},
        data={"metadata": '{"by": "page"}'},
        headers={"Authorization": f"Bearer {secret}"},
    )
    second = upload(stack, secret)

    assert first.status_code == 201
    image = first.json()
    assert (image["domain"], image["dkey"], image["user_metadata"]) == ("cats", "one", {"by": "page"})
    assert_problem(second, 401, "unauthenticated")
    (entry,) = stack.writer.get(f"/audit?image_id={image['id']}").json()["entries"]
    assert entry["key_id"].startswith("API_KEY token ")


def test_of_many_uses_at_once_one_succeeds(stack: ImageStack) -> None:
    secret = token(stack)
    with ThreadPoolExecutor(40) as threads:
        statuses = list(threads.map(lambda _: upload(stack, secret).status_code, range(200)))

    assert sorted(set(statuses)) == [201, 401]
    assert statuses.count(201) == 1


@pytest.mark.parametrize(
    ("members", "body", "status", "name"),
    [
        ({}, b"no picture", 415, "unsupported-media-type"),
        ({"content_types": ["image/png", "image/jpeg"]}, GIF, 415, "unsupported-media-type"),
        ({}, PNG[:-20], 422, "image-invalid"),
        ({"max_bytes": len(PNG) - 1}, PNG, 413, "payload-too-large"),
        ({"dkey": "taken"}, PNG, 409, "key-conflict"),
    ],
)
def test_an_upload_that_fails_leaves_the_token_for_another_picture(
    stack: ImageStack, members: dict[str, Any], body: bytes, status: int, name: str
) -> None:
    other = encode(plain(RED, 9, 9), "png").data
    stack.writer.put("/cats/taken", content=other)
    secret = token(stack, **members)

    refused = upload(stack, secret, body)
    again = upload(stack, secret, other) if status != 413 else upload(stack, secret, b"x")

    assert_problem(refused, status, name)
    assert again.status_code in ((200, 201) if status != 413 else (415,))


def test_a_token_is_good_for_its_route_and_its_words_only(stack: ImageStack) -> None:
    secret = token(stack)
    auth = {"Authorization": f"Bearer {secret}"}

    for answer in (
        stack.http.post("/images", content=PNG, headers=auth),
        stack.http.put("/cats/x", content=PNG, headers=auth),
        stack.http.get("/tasks", headers=auth),
        stack.http.post("/upload-tokens", json={"domain": "cats"}, headers=auth),
        upload(stack, "ist_" + "a" * 43),
    ):
        assert_problem(answer, 401, "unauthenticated")
    for word in ("domain=dogs", "dkey=x", "overwrite=1", "mode=async"):
        refused = stack.http.post(f"/image/upload?{word}", content=PNG, headers=auth)
        assert_problem(refused, 400, "invalid-request")
    assert upload(stack, secret).status_code in (200, 201)


def test_a_token_ends_after_its_time_and_after_too_many_tries(stack: ImageStack) -> None:
    tried, brief = token(stack), token(stack, expires_in_s=1)
    made = datetime.now(UTC)

    statuses = [upload(stack, tried, b"no picture").status_code for _ in range(TRIES)]

    assert statuses == [415] * TRIES
    assert upload(stack, tried).status_code == 401
    wait_until(lambda: (datetime.now(UTC) - made).total_seconds() > 1, what="the end of the token")
    assert upload(stack, brief).status_code == 401


def test_tokens_end_with_the_key_that_asked_for_them(stack: ImageStack) -> None:
    key = stack.writer.post("/keys", json={"name": "shop", "rights": "write"}).json()
    auth = {"Authorization": f"Bearer {key['key']}"}
    made = stack.http.post("/upload-tokens", json={"domain": "cats"}, headers=auth).json()

    stack.writer.delete(f"/keys/{key['id']}")

    assert upload(stack, made["token"]).status_code == 401


def test_no_secret_of_a_token_is_kept(stack: ImageStack) -> None:
    secret = token(stack)
    access = stack.folder / "nginx" / "access.log"
    used = upload(stack, secret, headers={"X-Request-Id": "with-a-secret"})

    assert used.is_success
    wait_until(lambda: "with-a-secret" in access.read_text(), what="nginx logs it")
    with closing(sqlite3.connect(stack.folder / "data" / "imagestore.db")) as database:
        assert secret not in "\n".join(database.iterdump())
    assert secret not in (stack.folder / "api.log").read_text() + access.read_text()


@pytest.mark.parametrize(
    "wish",
    [
        {},
        {"domain": "tasks"},
        {"domain": "cats", "dkey": ""},
        {"domain": "cats", "overwrite": 1},
        {"domain": "cats", "max_bytes": 0},
        {"domain": "cats", "max_bytes": 10**12},
        {"domain": "cats", "content_types": []},
        {"domain": "cats", "content_types": ["image/svg+xml"]},
        {"domain": "cats", "expires_in_s": 10**6},
        {"domain": "cats", "size": 1},
    ],
)
def test_wishes_for_tokens_are_checked(stack: ImageStack, wish: dict[str, Any]) -> None:
    assert stack.writer.post("/upload-tokens", json=wish).status_code == 400


def test_pages_of_named_origins_may_upload_and_read_refusals(stack: ImageStack) -> None:
    asked = {"Origin": PAGE, "Access-Control-Request-Method": "POST"}
    preflight = stack.http.options("/image/upload", headers=asked)
    refused = upload(stack, "ist_x", headers={"Origin": PAGE})
    taken = upload(stack, token(stack), headers={"Origin": PAGE})

    assert preflight.status_code in (200, 204)
    assert preflight.headers["Access-Control-Allow-Headers"] == "Authorization, Content-Type"
    assert preflight.headers["Access-Control-Allow-Methods"] == "POST"
    for answer in (preflight, refused, taken):
        assert answer.headers["Access-Control-Allow-Origin"] == PAGE
        assert "Origin" in answer.headers["Vary"]


def test_pages_of_other_origins_and_other_routes_get_nothing(stack: ImageStack) -> None:
    answers = [
        stack.http.options("/image/upload", headers={"Origin": "https://evil.example"}),
        upload(stack, token(stack), headers={"Origin": "https://evil.example"}),
        stack.http.options("/images", headers={"Origin": PAGE}),
        stack.writer.get("/tasks", headers={"Origin": PAGE}),
    ]

    assert all("Access-Control-Allow-Origin" not in answer.headers for answer in answers)
