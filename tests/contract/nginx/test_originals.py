"""nginx in front of a stand-in for the API: how originals leave a folder."""

from pathlib import Path

import pytest

from imagestore.records import Picture
from tests.fakeapi import Says
from tests.front import MD5, ORIGINAL, ORIGINAL_ETAG, PICTURE_ETAG, SHA, Front
from tests.frontanswers import FOR_EVER, NAME, SECURITY, SHORT, URL, assert_problem, from_api


@pytest.mark.parametrize("url", ["/image/read?id=7", "/image/read?id=7&", f"/image/read?sum={MD5}", NAME])
def test_original_comes_from_the_folder(always: Front, url: str) -> None:
    answer = always.http.get(url)

    assert answer.status_code == 200
    assert answer.content == ORIGINAL
    assert answer.headers["Content-Type"] == "image/jpeg"
    assert answer.headers["ETag"] == ORIGINAL_ETAG
    assert answer.headers["Accept-Ranges"] == "bytes"
    assert answer.headers["Cache-Control"] == (FOR_EVER if "sum" in url else SHORT)
    assert {name: answer.headers[name] for name in SECURITY} == SECURITY
    assert always.api.asked == []


def test_small_original_comes_from_redis(own: Front) -> None:
    own.cache.keep(SHA, "original", ORIGINAL_ETAG, Picture("image/jpeg", ORIGINAL))
    own.stored.unlink()

    answer = own.http.get("/image/read?id=7")

    assert answer.content == ORIGINAL
    assert answer.headers["ETag"] == ORIGINAL_ETAG


@pytest.mark.parametrize("in_redis", [False, True])
@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("bytes=0-9", slice(0, 10)),
        ("bytes=20470-", slice(20470, None)),
        ("bytes=-5", slice(-5, None)),
        ("bytes=10-99999", slice(10, None)),
    ],
)
def test_range_of_an_original(always: Front, in_redis: bool, asked: str, expected: slice) -> None:
    if in_redis:
        always.cache.keep(SHA, "original", ORIGINAL_ETAG, Picture("image/jpeg", ORIGINAL))

    answer = always.http.get("/image/read?id=7", headers={"Range": asked})

    assert answer.status_code == 206
    assert answer.content == ORIGINAL[expected]
    assert answer.headers["ETag"] == ORIGINAL_ETAG
    first, last, _ = expected.indices(len(ORIGINAL))
    assert answer.headers["Content-Range"] == f"bytes {first}-{last - 1}/20480"


@pytest.mark.parametrize("by_api", [False, True])
@pytest.mark.parametrize(
    ("condition", "status"),
    [
        (ORIGINAL_ETAG, 206),
        ('"other"', 200),
        (f"W/{ORIGINAL_ETAG}", 200),
        ("Wed, 21 Oct 2105 07:28:00 GMT", 200),
    ],
)
def test_if_range_with_another_etag_is_the_whole(
    always: Front, by_api: bool, condition: str, status: int
) -> None:
    if by_api:
        redirect(always)

    answer = always.http.get("/image/read?id=7", headers={"Range": "bytes=0-9", "If-Range": condition})

    assert answer.status_code == status
    assert answer.content == (ORIGINAL[:10] if status == 206 else ORIGINAL)


def test_range_outside_of_the_original_is_416(always: Front) -> None:
    answer = always.http.get("/image/read?id=7", headers={"Range": "bytes=20480-"})

    assert_problem(answer, 416, "range-not-satisfiable")
    assert answer.headers["Content-Range"] == "bytes */20480"


@pytest.mark.parametrize("url", [URL, "/image/read?id=7"], ids=["picture", "original"])
def test_if_match_with_another_etag_is_412_and_kills_no_worker(always: Front, url: str) -> None:
    etag = always.http.get(url).headers["ETag"]

    for condition in ('"other"', f"W/{etag}", f'"x{etag[1:]}'):
        answer = always.http.get(url, headers={"If-Match": condition})
        assert_problem(answer, 412, "precondition-failed")
    for condition in ("*", etag, f'"other", {etag}'):
        assert always.http.get(url, headers={"If-Match": condition}).status_code == 200
    assert "signal" not in always.nginx.log.read_text()


def test_known_original_is_304(always: Front) -> None:
    answer = always.http.get(NAME, headers={"If-None-Match": f"W/{ORIGINAL_ETAG}"})

    assert answer.status_code == 304
    assert answer.headers["ETag"] == ORIGINAL_ETAG
    assert answer.headers["Cache-Control"] == SHORT


@pytest.mark.parametrize("content", [None, ORIGINAL[:-1], ORIGINAL + b"x"], ids=["missing", "short", "long"])
def test_original_that_is_not_whole_is_left_to_the_api(own: Front, content: bytes | None) -> None:
    own.stored.unlink()
    if content is not None:
        own.stored.write_bytes(content)

    answer = own.http.get("/image/read?id=7")

    assert from_api(answer)


def test_symbolic_link_is_not_followed_out_of_the_store(own: Front, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(ORIGINAL)
    own.stored.unlink()
    own.stored.symlink_to(secret)

    assert_problem(own.http.get("/image/read?id=7"), 503, "storage-unavailable")


def test_inner_locations_are_not_for_clients(always: Front) -> None:
    original = f"{SHA[:2]}/{SHA[2:4]}/{SHA}"

    for path in (
        f"/_original/{original}",
        f"/_found/{original}",
        "/_remote/",
        "/_problem",
        "/_problem/remote",
    ):
        assert_problem(always.http.get(path), 404, "not-found")


def redirect(running: Front, **headers: str) -> None:
    """Forget what Redis has, and let the API send nginx to the file."""
    running.raw.flushall()
    running.api.answers["/image/read?id=7"] = Says(
        headers={
            "X-Accel-Redirect": f"/_original/{SHA[:2]}/{SHA[2:4]}/{SHA}",
            "Content-Type": "image/jpeg",
            "ETag": ORIGINAL_ETAG,
            "Cache-Control": SHORT,
            **headers,
        },
        body=b"",
    )


def test_headers_of_the_api_survive_the_redirect(always: Front) -> None:
    redirect(always, **{"Content-Disposition": 'attachment; filename="a.jpg"', "Vary": "Accept"})

    answer = always.http.get("/image/read?id=7")

    assert answer.content == ORIGINAL
    assert answer.headers["Content-Type"] == "image/jpeg"
    assert answer.headers.get_list("ETag") == [ORIGINAL_ETAG]
    assert answer.headers.get_list("Cache-Control") == [SHORT]
    assert answer.headers["Content-Disposition"] == 'attachment; filename="a.jpg"'
    assert answer.headers["Vary"] == "Accept"
    assert {name: answer.headers.get_list(name) for name in SECURITY} == {k: [v] for k, v in SECURITY.items()}
    assert "Last-Modified" not in answer.headers


def test_redirected_original_has_ranges_and_conditions(always: Front) -> None:
    redirect(always)

    part = always.http.get("/image/read?id=7", headers={"Range": "bytes=5-9"})
    known = always.http.get("/image/read?id=7", headers={"If-None-Match": ORIGINAL_ETAG})
    outside = always.http.get("/image/read?id=7", headers={"Range": "bytes=99999-"})
    head = always.http.head("/image/read?id=7")

    assert part.status_code == 206
    assert part.content == ORIGINAL[5:10]
    assert known.status_code == 304
    assert_problem(outside, 416, "range-not-satisfiable")
    assert head.headers["Content-Length"] == "20480"


def test_redirect_to_a_missing_file_is_503(always: Front) -> None:
    redirect(always, **{"Content-Disposition": "attachment"})
    always.stored.unlink()

    answer = always.http.get("/image/read?id=7")

    assert_problem(answer, 503, "storage-unavailable")
    assert "Content-Disposition" not in answer.headers


def test_no_mix_of_conditions_kills_a_worker(always: Front) -> None:
    redirected = "/image/read?id=9"
    always.api.answers[redirected] = Says(
        headers={
            "X-Accel-Redirect": f"/_original/{SHA[:2]}/{SHA[2:4]}/{SHA}",
            "Content-Type": "image/jpeg",
            "ETag": ORIGINAL_ETAG,
        },
        body=b"",
    )
    conditions = [
        {name: value}
        for name in ("If-Match", "If-None-Match", "If-Range")
        for value in ("*", '"other"', ORIGINAL_ETAG, PICTURE_ETAG, "nonsense", "")
    ]
    ranges = [{}, {"Range": "bytes=0-9"}, {"Range": "bytes=99999-"}, {"Range": "bytes=0-1,5-6"}]

    for url in (URL, "/image/read?id=7", redirected):
        for headers in [{**condition, **span} for condition in conditions for span in ranges]:
            for method in ("GET", "HEAD"):
                answer = always.http.request(method, url, headers=headers)
                assert answer.status_code in (200, 206, 304, 412, 416), (method, url, headers)
    assert "signal" not in always.nginx.log.read_text()
