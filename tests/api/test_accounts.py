"""Quotas and the audit log from outside: uploads, names, tasks and keys."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.api.asking import assert_problem
from tests.imagestack import ImageStack, image_stack
from tests.pictures import RED, encode, plain

RATE = 20

PICTURES = [encode(plain(RED, 8 + number, 8), "png").data for number in range(16)]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ImageStack]:
    """Every domain may hold four images, and every key make some 20 requests a second."""
    with image_stack(tmp_path_factory.mktemp("accounts"), QUOTA_IMAGES="4", RATE_PER_KEY=str(RATE)) as stack:
        yield stack


def usage(stack: ImageStack, domain: str) -> dict[str, Any]:
    (found,) = stack.writer.get(f"/v1/domains?domain={domain}").json()["domains"]
    return dict(found)


def test_uploads_at_once_stop_exactly_at_the_quota(stack: ImageStack) -> None:
    def put(number: int) -> int:
        return stack.writer.put(f"/edge/{number}", content=PICTURES[number]).status_code

    with ThreadPoolExecutor(8) as threads:
        statuses = list(threads.map(put, range(16)))

    assert sorted(statuses) == [201] * 4 + [507] * 12
    kept = stack.http.get("/images?domain=edge").json()["images"]
    assert usage(stack, "edge") == {
        "domain": "edge",
        "images": 4,
        "bytes": sum(image["size"] for image in kept),
        "max_images": 4,
        "max_bytes": None,
    }


def test_a_full_domain_takes_again_what_was_made_room_for(stack: ImageStack) -> None:
    for number in range(4):
        stack.writer.put(f"/full/{number}", content=PICTURES[number])

    refused = stack.writer.put("/full/5", content=PICTURES[5])
    replaced = stack.writer.put("/full/3", content=PICTURES[6])
    deleted = stack.writer.delete("/full/0")
    taken = stack.writer.put("/full/5", content=PICTURES[5])

    assert_problem(refused, 507, "insufficient-storage")
    assert stack.http.get("/full/5").content == PICTURES[5]
    assert [answer.status_code for answer in (replaced, deleted, taken)] == [200, 204, 201]


def test_what_a_full_domain_has_already_may_be_sent_again(stack: ImageStack) -> None:
    answers = [
        stack.writer.post("/image/upload?domain=again", content=PICTURES[number])
        for number in (0, 1, 2, 3, 0, 4)
    ]

    assert [answer.status_code for answer in answers] == [201, 201, 201, 201, 200, 507]
    assert answers[4].json()["id"] == answers[0].json()["id"]


def test_every_change_is_in_the_audit_log_with_its_request(stack: ImageStack) -> None:
    key = stack.writer.post("/keys", json={"name": "auditor", "rights": "write"}).json()
    auth = {"Authorization": f"Bearer {key['key']}"}
    answers = [
        stack.http.put("/audited/a", content=PICTURES[0], headers=auth),
        stack.http.put("/audited/a", content=PICTURES[1], headers=auth),
        stack.http.put("/audited/a", content=PICTURES[1], headers=auth),
        stack.http.delete("/audited/a", headers=auth),
    ]

    page = stack.writer.get("/v1/audit?domain=audited&limit=2").json()
    rest = stack.writer.get(page["next"]).json()

    entries = [*page["entries"], *rest["entries"]]
    assert rest["next"] is None
    assert [entry["action"] for entry in entries] == ["delete", "replace", "create"]
    # The third PUT changed nothing.
    requests = [answers[number].headers["X-Request-Id"] for number in (3, 1, 0)]
    assert [entry["request_id"] for entry in entries] == requests
    assert {entry["key_id"] for entry in entries} == {str(key["id"])}
    assert {entry["address"] for entry in entries} == {"127.0.0.1"}
    made = stack.writer.get("/audit?key_id=API_KEY").json()["entries"]
    assert f"key {key['id']} write auditor" in {entry["detail"] for entry in made}
    assert key["key"] not in stack.writer.get("/audit").text


def test_a_key_that_asks_too_often_is_told_when_to_come(stack: ImageStack) -> None:
    key = stack.writer.post("/keys", json={"name": "hasty", "rights": "read"}).json()
    auth = {"Authorization": f"Bearer {key['key']}"}
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: stack.http.get("/v1/tasks", headers=auth), range(200)))

    refused = [answer for answer in answers if answer.status_code != 200]

    assert 1 <= len(refused) <= 200 - 2 * RATE
    assert_problem(refused[0], 429, "rate-limited")
    assert {answer.headers["Retry-After"] for answer in refused} == {"1"}
    assert stack.http.get("/images", headers=auth).status_code == 200
    assert stack.writer.get("/tasks").status_code == 200
