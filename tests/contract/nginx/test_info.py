"""nginx in front of a stand-in for the API: descriptions that it answers itself."""

from dataclasses import replace
from urllib.parse import quote

import pytest

from imagestore.identity import record_etag
from imagestore.records import description
from tests.front import MD5, RECORD, SHA, Front
from tests.frontanswers import from_api, raw_exchange

DKEY = quote(RECORD.dkey, safe="")


@pytest.mark.parametrize(
    "query",
    [
        "id=7",
        f"sum={MD5}",
        f"sum={SHA}",
        f"domain=demo&dkey={DKEY}",
        f"dkey={quote(RECORD.dkey)}&domain=demo",
    ],
)
@pytest.mark.parametrize("version", ["", "/v1"])
def test_description_is_answered_without_the_api(always: Front, version: str, query: str) -> None:
    answer = always.http.get(f"{version}/image/info?{query}")

    assert answer.status_code == 200
    assert answer.text == description(RECORD)
    assert answer.headers["ETag"] == record_etag(RECORD)
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Content-Length"] == str(len(answer.content))
    assert (answer.headers["Cache-Control"], answer.headers["X-Cache"]) == ("no-cache", "redis")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert len(answer.headers["X-Request-Id"]) == 32
    assert always.api.asked == []


def test_description_that_the_client_has_is_a_304(always: Front) -> None:
    same = always.http.get("/image/info?id=7", headers={"If-None-Match": f'W/"x", {record_etag(RECORD)}'})
    head = always.http.head("/image/info?id=7")

    assert (same.status_code, same.content, same.headers["ETag"]) == (304, b"", record_etag(RECORD))
    assert (head.status_code, head.content) == (200, b"")
    assert always.api.asked == []


def test_changed_description_is_seen_at_once(own: Front) -> None:
    own.http.get("/image/info?id=7")
    newer = replace(RECORD, rev=2, user_metadata={"title": "neu ü"})
    own.cache.publish(newer)
    changed = own.http.get("/image/info?id=7")
    own.cache.bar(7, 3)
    barred = own.http.get("/image/info?id=7")

    assert (changed.text, changed.headers["ETag"]) == (description(newer), record_etag(newer))
    assert from_api(barred)


@pytest.mark.parametrize("header", ["If-Match", "If-Unmodified-Since"])
def test_conditions_on_a_description_are_judged_by_the_api(always: Front, header: str) -> None:
    assert from_api(always.http.get("/image/info?id=7", headers={header: record_etag(RECORD)}))


def test_no_picture_is_asked_for_by_the_spelling_of_a_description(always: Front) -> None:
    for query in ("id=7&%0A", "id=7&\n"):
        received = raw_exchange(always.nginx.port, f"GET /image/read?{query} HTTP/1.0\r\n\r\n".encode())
        assert b"md5sum" not in received
