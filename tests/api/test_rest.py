"""Images as resources: pages of them, and reading, replacing, editing and deleting one."""

import hashlib
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from tests import pictures
from tests.imagestack import ImageStack
from tests.servers import wait_until

BODY = pictures.photo(24, 16, seed=51)
DKEYS = ["B", "a", "a/1", "a/10", "a/2 +&%", "a/é", "a/😀", "b"]
"""In the order of their UTF-8 bytes, which is that of pages."""


@pytest.fixture(scope="module")
def listed(shared_stack: ImageStack) -> list[int]:
    """A domain with an image under each of DKEYS; the ids in that order."""
    ids = {dkey: shared_stack.upload(BODY, "listed", dkey)["id"] for dkey in reversed(DKEYS)}
    return [ids[dkey] for dkey in DKEYS]


def pages(stack: ImageStack, url: str | None) -> Iterator[list[dict[str, Any]]]:
    """The pages from `url` on, by their own links."""
    while url:
        answer = stack.http.get(url)
        assert answer.status_code == 200, answer.text
        yield answer.json()["images"]
        url = answer.json()["next"]


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 8, 100, 1000])
def test_the_pages_of_a_domain_hold_each_image_once_in_order(
    shared_stack: ImageStack, listed: list[int], limit: int
) -> None:
    seen = list(pages(shared_stack, f"/v1/images?domain=listed&limit={limit}"))

    assert [image["dkey"] for page in seen for image in page] == DKEYS
    assert [image["id"] for page in seen for image in page] == listed
    # No empty page follows: 8 images are ceil(8 / limit) pages.
    assert len(seen) == -(-8 // limit)


@pytest.mark.parametrize(
    ("prefix", "expected"),
    [
        ("a", DKEYS[1:7]),
        ("a/", DKEYS[2:7]),
        ("a/1", DKEYS[2:4]),
        ("a/é", ["a/é"]),
        ("A", []),
        ("a/.", []),
        ("..", []),
        ("a/2 +&%", DKEYS[4:5]),
    ],
)
def test_a_prefix_narrows_the_pages_of_a_domain(
    shared_stack: ImageStack, listed: list[int], prefix: str, expected: list[str]
) -> None:
    url = f"/images?domain=listed&prefix={quote(prefix, safe='')}&limit=1"

    assert [image["dkey"] for page in pages(shared_stack, url) for image in page] == expected


def test_the_pages_of_all_domains_are_in_the_order_of_ids(
    shared_stack: ImageStack, listed: list[int]
) -> None:
    ids = [image["id"] for page in pages(shared_stack, "/images?limit=3") for image in page]

    assert ids == sorted(set(ids))
    assert set(listed) <= set(ids)
    after = shared_stack.http.get(f"/images?after={max(listed)}").json()
    assert all(image["id"] > max(listed) for image in after["images"])


def test_a_search_narrows_pages_by_sum_and_metadata_together(shared_stack: ImageStack) -> None:
    red, blue = pictures.photo(8, 8, seed=61), pictures.photo(8, 8, seed=62)
    for dkey, body, words in [
        ("a/1", red, {"artist": "Ada", "place": {"name": "Köln"}}),
        ("a/2", blue, {"artist": "Ada"}),
        ("b/3", red, {"artist": "Bob", "of": "ada"}),
        ("b/4", red, {"artist": "Ada"}),
    ]:
        shared_stack.upload(body, "searched", dkey, metadata=json.dumps(words))
    digest = hashlib.md5(red).hexdigest()

    def found(query: str) -> list[str]:
        url = f"/v1/images?domain=searched&limit=1&{query}"
        return [image["dkey"] for page in pages(shared_stack, url) for image in page]

    assert found(f"sum={digest}") == ["a/1", "b/3", "b/4"]
    assert found("metadata=artist:Ada") == ["a/1", "a/2", "b/4"]
    assert found(f"metadata=artist:Ada&sum={hashlib.sha256(red).hexdigest()}") == ["a/1", "b/4"]
    assert found("metadata=artist:Ada&prefix=b/") == ["b/4"]
    assert found("metadata=ADA") == ["a/1", "a/2", "b/3", "b/4"]
    assert found("metadata=k%C3%B6ln") == ["a/1"]


def test_a_sum_is_found_in_all_domains(shared_stack: ImageStack) -> None:
    body = pictures.photo(9, 5, seed=63)
    ids = [shared_stack.upload(body, domain, "green")["id"] for domain in ("searched", "other")]

    url = f"/images?sum={hashlib.sha256(body).hexdigest()}&limit=1"
    seen = [image["id"] for page in pages(shared_stack, url) for image in page]

    assert seen == ids


def test_an_empty_domain_has_one_empty_page(shared_stack: ImageStack) -> None:
    answer = shared_stack.http.get("/v1/images?domain=nobody")

    assert answer.json() == {"images": [], "next": None}


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("limit=0", "invalid-parameter"),
        ("limit=1001", "invalid-parameter"),
        ("limit=-1", "invalid-parameter"),
        ("limit=", "invalid-parameter"),
        ("limit=%EF%BC%91", "invalid-parameter"),
        ("after=x", "invalid-parameter"),
        ("after=0x1", "invalid-parameter"),
        ("after=9999999999999999999", "invalid-parameter"),
        ("prefix=a", "invalid-request"),
        ("domain=", "invalid-key"),
        ("domain=UPPER", "invalid-key"),
        ("domain=a&prefix=%00", "invalid-key"),
        ("domain=a&after=%00", "invalid-key"),
        ("domain=a&prefix=a/../b", "invalid-key"),
        ("domain=a&domain=b", "invalid-request"),
        ("page=2", "invalid-request"),
        ("sum=abc", "invalid-parameter"),
        ("sum=", "invalid-parameter"),
        ("metadata=", "invalid-parameter"),
        ("metadata=:", "invalid-parameter"),
        ("metadata=" + 256 * "x", "invalid-parameter"),
        ("metadata=%ff", "invalid-request"),
    ],
)
def test_page_parameters_outside_their_grammar(shared_stack: ImageStack, query: str, name: str) -> None:
    answer = shared_stack.http.get(f"/images?{query}")

    assert (answer.status_code, answer.json()["type"]) == (400, f"/problems/{name}")


def put(stack: ImageStack, url: str, body: bytes, **headers: str) -> httpx.Response:
    return stack.writer.put(url, content=body, headers={k.replace("_", "-"): v for k, v in headers.items()})


def test_an_image_tells_everything_known_about_it(shared_stack: ImageStack) -> None:
    image = shared_stack.upload(BODY, "rest", "known", metadata='{"k": "v"}')

    urls = [f"{v}/images/{image['id']}" for v in ("", "/v1")]
    urls += [
        f"{v}/image/info?{q}" for v in ("", "/v1") for q in (f"id={image['id']}", "domain=rest&dkey=known")
    ]
    for url in urls:
        answer = shared_stack.http.get(url)
        assert answer.json() == image
        assert answer.headers["Content-Type"] == "application/json"
        same = shared_stack.http.get(url, headers={"If-None-Match": f'"x", W/{answer.headers["ETag"]}'})
        assert (same.status_code, same.content) == (304, b"")
        assert same.headers["ETag"] == answer.headers["ETag"]
    assert {"frames": 1, "orientation": 1, "alpha": False}.items() <= image["image_metadata"].items()
    assert image["create_time"] == image["update_time"]
    assert image["create_time"].endswith("Z")


def test_a_replaced_image_keeps_its_id_name_and_metadata(shared_stack: ImageStack) -> None:
    image = shared_stack.upload(BODY, "rest", "replaced", metadata='{"k": "v"}')
    other = pictures.encode(pictures.quadrants(40, 30), "png").data

    answer = put(shared_stack, f"/v1/images/{image['id']}", other)

    assert answer.status_code == 200
    new = answer.json()
    assert {name for name in image if image[name] == new[name]} >= {"id", "domain", "dkey", "user_metadata"}
    assert (new["rev"], new["format"], new["width"], new["height"]) == (2, "png", 40, 30)
    assert new["create_time"] == image["create_time"]
    assert shared_stack.http.get(f"/image/read?id={image['id']}").content == other
    described = put(shared_stack, f"/v1/images/{image['id']}?metadata=%7B%7D", other).json()
    assert (described["rev"], described["user_metadata"]) == (3, {})


@pytest.mark.parametrize("kind", ["picture", "description"])
def test_if_match_lets_only_the_writer_that_has_seen_the_image_through(
    shared_stack: ImageStack, kind: str
) -> None:
    image = shared_stack.upload(BODY, "rest", f"guarded-{kind}")
    url = f"/v1/images/{image['id']}"
    seen = f"/image/read?id={image['id']}" if kind == "picture" else url
    etag = shared_stack.http.get(seen).headers["ETag"]
    other = pictures.photo(25, 17, seed=52)

    first = put(shared_stack, url, other, If_Match=f'"x", {etag}')
    second = put(shared_stack, url, BODY, If_Match=etag)
    weak = put(shared_stack, url, BODY, If_Match=f"W/{first.headers['ETag']}")
    gone = shared_stack.writer.delete(url, headers={"If-Match": etag})
    edited = shared_stack.writer.patch(url, json={"user_metadata": {}}, headers={"If-Match": etag})

    assert first.status_code == 200
    assert [each.status_code for each in (second, weak, gone, edited)] == [412] * 4
    assert shared_stack.http.get(url).json() == first.json()
    assert shared_stack.writer.delete(url, headers={"If-Match": "*"}).status_code == 204


def test_if_none_match_star_creates_and_never_replaces(shared_stack: ImageStack) -> None:
    first = put(shared_stack, "/rest/create-only", BODY, If_None_Match="*")
    second = put(shared_stack, "/rest/create-only", pictures.photo(20, 20), If_None_Match="*")

    assert (first.status_code, second.status_code) == (201, 412)


def test_edits_at_once_that_ask_for_no_revision_are_all_done(shared_stack: ImageStack) -> None:
    image = shared_stack.upload(BODY, "rest", "edited-at-once")
    url, names = f"/images/{image['id']}", [f"k{number}" for number in range(25)]

    def edit(name: str) -> int:
        return shared_stack.writer.patch(url, json={"user_metadata": {name: 1}}).status_code

    with ThreadPoolExecutor(len(names)) as clients:
        statuses = set(clients.map(edit, names))

    assert statuses == {200}
    assert shared_stack.http.get(url).json()["user_metadata"] == dict.fromkeys(names, 1)


def test_metadata_is_patched_as_rfc_7396_says(shared_stack: ImageStack) -> None:
    # The target and the patch of RFC 7396 §3, as members of the user's metadata.
    target = {"title": "Goodbye!", "author": {"givenName": "John", "familyName": "Doe"}}
    target |= {"tags": ["example", "sample"], "content": "This will be unchanged"}
    patch = {
        "title": "Hello!",
        "phoneNumber": "+01-123-456-7890",
        "author": {"familyName": None},
        "tags": ["example"],
    }
    image = shared_stack.upload(BODY, "rest", "patched")
    url = f"/images/{image['id']}"

    shared_stack.writer.patch(url, json={"user_metadata": target})
    headers = {"Content-Type": "application/merge-patch+json"}
    answer = shared_stack.writer.patch(url, json={"user_metadata": patch}, headers=headers)

    assert answer.status_code == 200
    assert answer.json()["rev"] == 3
    assert answer.json()["user_metadata"] == {
        "title": "Hello!",
        "author": {"givenName": "John"},
        "tags": ["example"],
        "content": "This will be unchanged",
        "phoneNumber": "+01-123-456-7890",
    }
    assert shared_stack.http.get(url).json() == answer.json()
    assert answer.json()["sha256"] == image["sha256"]


@pytest.mark.parametrize(
    "body",
    [
        "",
        "[]",
        "null",
        "{}",
        '{"user_metadata": null}',
        '{"user_metadata": []}',
        '{"user_metadata": {}, "dkey": "x"}',
        '{"user_metadata": {"a": Infinity}}',
        '{"user_metadata": {"a": "\\udfff"}}',
        '{"user_metadata": {"a": 1e999}}',
        '{"user_metadata": ' + '{"a": ' * 40 + "1" + "}" * 41,
        '{"user_metadata": {"a": "' + "x" * 70_000 + '"}}',
        '{"user_metadata": {"a": ' + "9" * 5000 + "}}",
    ],
)
def test_patches_that_cannot_be_understood_change_nothing(shared_stack: ImageStack, body: str) -> None:
    image = shared_stack.upload(BODY, "rest", "unpatched")
    headers = {"Content-Type": "application/json"}

    answer = shared_stack.writer.patch(f"/images/{image['id']}", content=body, headers=headers)

    assert (answer.status_code, answer.json()["type"]) == (400, "/problems/invalid-request")
    assert shared_stack.http.get(f"/images/{image['id']}").json()["rev"] == 1


@pytest.mark.parametrize("by", ["id", "name"])
def test_a_deleted_image_is_gone_by_all_its_names_within_a_second(shared_stack: ImageStack, by: str) -> None:
    body = pictures.photo(26, 18, seed=53 + len(by))
    image = shared_stack.upload(body, "rest", f"deleted-{by}")
    number = image["id"]
    names = [f"/image/read?id={number}", f"/image/read?id={number}&width=10", f"/rest/deleted-{by}"]
    names += [f"/image/read?sum={image[digest]}" for digest in ("md5sum", "sha256")]
    names += [f"/images/{number}", f"/image/info?id={number}", f"/image/info?domain=rest&dkey=deleted-{by}"]
    assert {shared_stack.http.get(url).status_code for url in names * 2} == {200}

    target = f"/v1/images/{number}" if by == "id" else f"/v1/rest/deleted-{by}"
    answer = shared_stack.writer.delete(target)
    deleted = time.monotonic()

    assert (answer.status_code, answer.content) == (204, b"")
    wait_until(lambda: time.monotonic() > deleted + 1, what="a second passes")
    for url in names * 2:
        gone = shared_stack.http.get(url)
        assert (gone.status_code, gone.json()["type"]) == (404, "/problems/image-not-found"), url
    assert shared_stack.writer.delete(target).status_code == 404
    assert shared_stack.writer.patch(f"/images/{number}", json={"user_metadata": {}}).status_code == 404
    assert put(shared_stack, f"/images/{number}", body).status_code == 404


def test_a_name_can_be_used_again_by_a_new_image(shared_stack: ImageStack) -> None:
    old = shared_stack.upload(BODY, "rest", "reborn", metadata='{"old": true}')
    shared_stack.http.get("/rest/reborn")
    shared_stack.writer.delete("/rest/reborn")

    body = pictures.photo(27, 19, seed=57)
    new = shared_stack.writer.put("/rest/reborn", content=body)
    created = time.monotonic()

    assert new.status_code == 201
    assert new.json()["id"] > old["id"]
    assert new.json()["user_metadata"] == {}
    wait_until(lambda: time.monotonic() > created + 1, what="a second passes")
    assert shared_stack.http.get("/rest/reborn").content == body
    assert shared_stack.http.get(f"/image/read?id={old['id']}").status_code == 404


def test_the_original_of_a_deleted_image_lives_on_in_its_twin(shared_stack: ImageStack) -> None:
    body = pictures.photo(28, 20, seed=58)
    first = shared_stack.upload(body, "rest", "twin-1")
    second = shared_stack.upload(body, "rest", "twin-2")
    assert shared_stack.http.get(f"/image/info?sum={first['md5sum']}").json()["id"] == first["id"]

    shared_stack.writer.delete(f"/images/{first['id']}")

    assert shared_stack.http.get(f"/image/info?sum={first['md5sum']}").json()["id"] == second["id"]
    assert shared_stack.http.get(f"/image/read?sum={first['sha256']}").content == body


def test_purge_removes_the_bytes_at_once_unless_another_image_has_them(
    shared_stack: ImageStack,
) -> None:
    body = pictures.photo(64, 48, seed=901)
    images = [shared_stack.upload(body, "purged", name) for name in ("first", "second")]
    sha256 = images[0]["sha256"]
    path = shared_stack.folder / "data" / "originals" / sha256[:2] / sha256[2:4] / sha256

    first = shared_stack.writer.delete("/purged/first?purge=1")
    after_first = path.exists()
    second = shared_stack.writer.delete(f"/images/{images[1]['id']}?purge=1")

    assert (first.status_code, second.status_code) == (204, 204)
    assert (after_first, path.exists()) == (True, False)
    assert shared_stack.upload(body, "purged", "third")["sha256"] == sha256
    assert shared_stack.http.get("/purged/third").content == body


def test_purge_is_for_administrators_and_says_0_or_1(shared_stack: ImageStack) -> None:
    made = shared_stack.writer.post("/keys", json={"name": "writer", "rights": "write"}).json()
    image = shared_stack.upload(pictures.photo(64, 48, seed=902), "purged", "kept")
    url = f"/images/{image['id']}"

    refused = shared_stack.http.delete(f"{url}?purge=1", headers={"Authorization": f"Bearer {made['key']}"})
    wrong = shared_stack.writer.delete(f"{url}?purge=yes")
    unknown = shared_stack.writer.delete("/purged/kept?force=1")

    assert [answer.status_code for answer in (refused, wrong, unknown)] == [403, 400, 400]
    assert wrong.json()["parameter"] == "purge"
    assert shared_stack.http.get(url).status_code == 200
