"""nginx in front of a stand-in for the API: how originals leave an S3 store."""

from pathlib import Path

import pytest

from tests.fakeapi import Says, fake_api
from tests.front import ORIGINAL, ORIGINAL_ETAG, Front, front
from tests.frontanswers import SECURITY, SHORT, assert_problem
from tests.servers import wait_until


def remote(running: Front, address: str, **headers: str) -> None:
    running.raw.flushall()
    running.api.answers["/image/read?id=7"] = Says(
        headers={
            "X-Accel-Redirect": "/_remote/",
            "X-Original-Url": f"http://{address}/bucket/ab%2Fcd?X-Amz-Signature=secret&x=%20",
            "Content-Type": "image/jpeg",
            "ETag": ORIGINAL_ETAG,
            "Cache-Control": SHORT,
            "Content-Disposition": "attachment",
            **headers,
        },
        body=b"",
    )


STORE_PATH = "/bucket/ab%2Fcd?X-Amz-Signature=secret&x=%20"
STORE_HEADERS = {
    "ETag": '"theirs"',
    "Last-Modified": "Wed, 21 Oct 2015 07:28:00 GMT",
    "Set-Cookie": "a=b",
    "x-amz-request-id": "42",
    "Content-Type": "binary/octet-stream",
    "Accept-Ranges": "bytes",
    "Cache-Control": "private",
}


def test_remote_original_carries_our_headers_and_its_bytes(always: Front) -> None:
    with fake_api() as store:
        remote(always, store.address)
        store.answers[STORE_PATH] = Says(headers=STORE_HEADERS, body=ORIGINAL)

        answer = always.http.get(
            "/image/read?id=7", headers={"Authorization": "Bearer x", "Cookie": "c=d", "If-None-Match": '"x"'}
        )

        assert answer.status_code == 200
        assert answer.content == ORIGINAL
        assert answer.headers["Content-Type"] == "image/jpeg"
        assert answer.headers.get_list("ETag") == [ORIGINAL_ETAG]
        assert answer.headers.get_list("Cache-Control") == [SHORT]
        assert answer.headers["Content-Disposition"] == "attachment"
        assert {name: answer.headers[name] for name in SECURITY} == SECURITY
        for name in ("Last-Modified", "Set-Cookie", "x-amz-request-id", "X-Original-Url"):
            assert name not in answer.headers
        assert "secret" not in str(answer.headers)
        (asked,) = store.asked
        assert asked.path == STORE_PATH
        assert set(asked.headers) == {"host"}
        assert asked.headers["host"] == store.address


def test_range_is_passed_on_to_the_store(always: Front) -> None:
    with fake_api() as store:
        remote(always, store.address)
        store.answers[STORE_PATH] = Says(
            206, {**STORE_HEADERS, "Content-Range": "bytes 0-9/20480"}, ORIGINAL[:10]
        )

        plain = always.http.get("/image/read?id=7", headers={"Range": "bytes=0-9"})
        same = always.http.get("/image/read?id=7", headers={"Range": "bytes=0-9", "If-Range": ORIGINAL_ETAG})
        always.http.get("/image/read?id=7", headers={"Range": "bytes=0-9", "If-Range": '"theirs"'})

        assert plain.status_code == same.status_code == 206
        assert plain.content == ORIGINAL[:10]
        assert plain.headers["Content-Range"] == "bytes 0-9/20480"
        assert [asked.headers.get("range") for asked in store.asked] == ["bytes=0-9", "bytes=0-9", None]


@pytest.mark.parametrize("status", [301, 307, 400, 403, 404, 429, 500, 503])
def test_any_other_answer_of_the_store_is_503(always: Front, status: int) -> None:
    with fake_api() as store:
        remote(always, store.address)
        store.answers[STORE_PATH] = Says(status, {**STORE_HEADERS, "Location": "http://other/"}, b"<Error/>")

        answer = always.http.get("/image/read?id=7")

        assert_problem(answer, 503, "storage-unavailable")
        for name in ("Location", "x-amz-request-id", "Content-Disposition", "Set-Cookie"):
            assert name not in answer.headers


def test_range_that_the_store_refuses_is_416(always: Front) -> None:
    with fake_api() as store:
        remote(always, store.address)
        store.answers[STORE_PATH] = Says(416, {"Content-Type": "application/xml"}, b"<Error/>")

        answer = always.http.get("/image/read?id=7", headers={"Range": "bytes=99999-"})

        assert_problem(answer, 416, "range-not-satisfiable")


def test_head_of_a_remote_original_has_its_length(always: Front) -> None:
    with fake_api() as store:
        remote(always, store.address)
        store.answers[STORE_PATH] = Says(headers=STORE_HEADERS, body=ORIGINAL)

        answer = always.http.head("/image/read?id=7")

        assert answer.status_code == 200
        assert answer.headers["Content-Length"] == "20480"
        # The signature is for GET.
        assert store.asked[0].method == "GET"


def test_store_that_is_away_is_503_and_its_url_in_no_log(tmp_path: Path) -> None:
    with front(tmp_path) as running, fake_api() as store:
        remote(running, store.address)
        store.stop()

        answer = running.http.get("/image/read?id=7")

        assert_problem(answer, 503, "storage-unavailable")
        wait_until(lambda: "status=503" in running.access_log.read_text(), what="the access log has it")
        for log in (running.access_log, running.nginx.log):
            assert "secret" not in log.read_text()
