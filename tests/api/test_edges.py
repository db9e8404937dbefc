"""What a second look found: each of these failed before it was mended."""

import json

import redis

from tests import pictures
from tests.api.asking import assert_problem, raw
from tests.imagestack import ImageStack


def test_a_doubled_slash_is_no_way_around_a_rule(shared_stack: ImageStack) -> None:
    for path in ("//metrics", "///v1/metrics", "//image/info?id=1", "//demo/x"):
        status = raw(shared_stack, "GET", path).status_code
        assert status == 404, path


def test_monitors_may_ask_with_head(shared_stack: ImageStack) -> None:
    for path in ("/", "/health/live", "/health/ready"):
        assert shared_stack.http.head(path).status_code == 200


def test_if_match_of_a_read_is_judged_on_miss_and_hit(shared_stack: ImageStack) -> None:
    image = shared_stack.upload(pictures.photo(60, 40, seed=31))
    url = f"/image/read?id={image['id']}&width=31"

    for _ in range(2):
        answer = shared_stack.http.get(url, headers={"If-Match": '"other"'})
        assert answer.status_code == 412
        assert shared_stack.http.get(url).status_code == 200


def test_a_problem_carries_nothing_of_the_picture(shared_stack: ImageStack) -> None:
    image = shared_stack.upload(pictures.photo(60, 40, seed=32))

    answer = shared_stack.http.get(f"/image/read?id={image['id']}&crop=500,500,9,9&download=a.jpg")

    assert_problem(answer, 400, "invalid-parameter")
    assert "ETag" not in answer.headers
    assert "Content-Disposition" not in answer.headers


def test_a_domain_that_begins_like_a_route_is_hot_too(shared_stack: ImageStack) -> None:
    body = pictures.photo(60, 40, seed=33)
    shared_stack.upload(body, "images2", "a")

    answer = shared_stack.http.get("/images2/a")

    assert answer.content == body
    assert answer.headers["X-Cache"] != "miss"


def test_a_record_of_another_version_is_read_from_the_database(shared_stack: ImageStack) -> None:
    image = shared_stack.upload(pictures.photo(60, 40, seed=34))
    key = f"record:{image['id']}"
    with redis.Redis(port=shared_stack.redis.port, decode_responses=True) as client:
        kept = json.loads(str(client.hget(key, "info")))
        client.hset(key, "info", json.dumps({**kept, "from_the_future": 1}))

    answer = shared_stack.http.get(f"/v1/images/{image['id']}")

    assert (answer.status_code, answer.json()["sha256"]) == (200, image["sha256"])


def test_an_idempotency_key_is_for_one_wish(shared_stack: ImageStack) -> None:
    def ask(name: str) -> int:
        wish = {"url": f"http://127.0.0.1:9/{name}"}
        headers = {"Idempotency-Key": "one-wish"}
        return shared_stack.writer.post("/image/download", json=wish, headers=headers).status_code

    assert [ask("a"), ask("a"), ask("b")] == [202, 202, 409]


def test_an_empty_domain_is_not_the_default_one(shared_stack: ImageStack) -> None:
    answer = shared_stack.writer.post("/image/download", json={"url": "http://a.example/x", "domain": ""})

    assert_problem(answer, 400, "invalid-key")
