"""Originals out: by every name that they have, in parts, and with the headers that guard them."""

import contextlib
import re
import sqlite3
from typing import Any
from urllib.parse import quote, unquote

import httpx
import pytest
import redis

from tests import pictures
from tests.api.asking import renders
from tests.imagestack import ImageStack

BODY = pictures.photo(640, 480, seed=31, quality=95)
IMMUTABLE = "public, max-age=31536000, immutable"
SHORT = "public, max-age=10, must-revalidate"


@pytest.fixture(scope="module")
def image(shared_stack: ImageStack) -> dict[str, Any]:
    return shared_stack.upload(BODY, "reads", "folder/photo.jpg")


def ways(image: dict[str, Any]) -> dict[str, str]:
    """Every URL of the original, with the Cache-Control that it deserves."""
    return {
        f"/image/read?id={image['id']}": SHORT,
        f"/v1/image/read?id={image['id']}": SHORT,
        f"/image/read?sum={image['md5sum']}": IMMUTABLE,
        f"/v1/image/read?sum={image['sha256']}": IMMUTABLE,
        "/reads/folder/photo.jpg": SHORT,
        "/v1/reads/folder/photo.jpg": SHORT,
    }


def of_rendition(image: dict[str, Any]) -> str:
    return f"/image/read?id={image['id']}&width=64"


def twice(stack: ImageStack, method: str, url: str, **options: Any) -> list[httpx.Response]:
    """The first answer may come from the API, the second from what nginx has learnt."""
    return [stack.http.request(method, url, **options) for _ in range(2)]


def test_an_original_is_served_untouched_by_all_its_names(
    shared_stack: ImageStack, image: dict[str, Any]
) -> None:
    for url, cache_control in ways(image).items():
        for answer in twice(shared_stack, "GET", url):
            assert (answer.status_code, answer.content) == (200, BODY), url
            assert answer.headers["Content-Type"] == "image/jpeg"
            assert answer.headers["Cache-Control"] == cache_control, url
            assert answer.headers["ETag"] == f'"{image["sha256"][:32]}"'
            assert answer.headers["Accept-Ranges"] == "bytes"


def test_head_says_what_get_would(shared_stack: ImageStack, image: dict[str, Any]) -> None:
    for url in [*ways(image), of_rendition(image), f"/image/info?id={image['id']}", "/v1/images"]:
        got = shared_stack.http.get(url)

        for answer in twice(shared_stack, "HEAD", url):
            assert (answer.status_code, answer.content) == (200, b""), url
            for header in ("Content-Length", "Content-Type", "ETag", "Cache-Control"):
                assert answer.headers.get(header) == got.headers.get(header), f"{header} of {url}"
            assert int(answer.headers["Content-Length"]) == len(got.content)


def test_every_picture_is_kept_from_being_anything_else(
    shared_stack: ImageStack, image: dict[str, Any]
) -> None:
    rendition, plain = of_rendition(image), "/reads/folder/photo.jpg"
    etag = shared_stack.http.get(plain).headers["ETag"]
    answers = [shared_stack.http.get(url) for url in [*ways(image), rendition, rendition]]
    answers += [shared_stack.http.head(url) for url in (plain, rendition)]
    answers.append(shared_stack.http.get(plain, headers={"Range": "bytes=0-9"}))
    answers.append(shared_stack.http.get(plain, headers={"If-None-Match": etag}))

    for answer in answers:
        assert answer.status_code in (200, 206, 304)
        for header, value in {
            "X-Content-Type-Options": "nosniff",
            "Content-Security-Policy": "default-src 'none'; sandbox",
            "Cross-Origin-Resource-Policy": "cross-origin",
        }.items():
            assert answer.headers.get_list(header) == [value], (
                f"{header} of {answer.url} {answer.status_code}"
            )
        for forbidden in (
            "Last-Modified",
            "Set-Cookie",
            "X-Accel-Redirect",
            "X-Powered-By",
            "X-Original-Url",
        ):
            assert forbidden not in answer.headers
        assert answer.headers["Server"] == "nginx"


@pytest.mark.parametrize("form", ["{}", "W/{}", '"x", {}', '"x","y" , W/{}', "*", '"a,b", {}'])
def test_a_picture_that_the_client_has_is_a_304_without_any_work(
    shared_stack: ImageStack, image: dict[str, Any], form: str
) -> None:
    before = renders(shared_stack)
    fresh = f"/image/read?id={image['id']}&width={200 + len(form)}"
    shared_stack.http.head(fresh)
    made = renders(shared_stack)

    for url in [*ways(image), fresh]:
        etag = shared_stack.http.head(url).headers["ETag"]
        for answer in twice(shared_stack, "GET", url, headers={"If-None-Match": form.format(etag)}):
            assert (answer.status_code, answer.content) == (304, b""), url
            assert answer.headers["ETag"] == etag
            assert answer.headers["Cache-Control"] == ways(image).get(url, SHORT)

    assert made - before <= 1
    assert renders(shared_stack) == made


def test_a_304_of_a_picture_that_nobody_made_yet_renders_nothing(
    shared_stack: ImageStack, image: dict[str, Any]
) -> None:
    url = f"/image/read?id={image['id']}&width=321"
    before = renders(shared_stack)

    answer = shared_stack.http.get(url, headers={"If-None-Match": "*"})

    assert answer.status_code == 304
    assert renders(shared_stack) == before
    assert shared_stack.http.get(url).headers["ETag"] == answer.headers["ETag"]


def test_another_etag_gets_the_picture(shared_stack: ImageStack, image: dict[str, Any]) -> None:
    etag = image["sha256"][:32]

    for url in ways(image):
        for header in ('"other"', f'"{etag[:-1]}"', f'"{etag.upper()}"', etag):
            answer = shared_stack.http.get(url, headers={"If-None-Match": header})
            assert (answer.status_code, answer.content) == (200, BODY), f"{url} {header}"


@pytest.mark.parametrize(
    ("wanted", "start", "end"),
    [
        ("bytes=0-99", 0, 100),
        ("bytes=100-", 100, len(BODY)),
        ("bytes=-7", len(BODY) - 7, len(BODY)),
        ("bytes=5-5", 5, 6),
        (f"bytes=10-{len(BODY) * 10}", 10, len(BODY)),
    ],
)
def test_a_part_of_an_original(
    shared_stack: ImageStack, image: dict[str, Any], wanted: str, start: int, end: int
) -> None:
    for url in ways(image):
        for answer in twice(shared_stack, "GET", url, headers={"Range": wanted}):
            assert (answer.status_code, answer.content) == (206, BODY[start:end]), url
            assert answer.headers["Content-Range"] == f"bytes {start}-{end - 1}/{len(BODY)}"
            assert answer.headers["Content-Type"] == "image/jpeg"
            assert answer.headers["ETag"] == f'"{image["sha256"][:32]}"'


def test_several_parts_of_an_original(shared_stack: ImageStack, image: dict[str, Any]) -> None:
    for url in ways(image):
        answer = shared_stack.http.get(url, headers={"Range": "bytes=0-9,20-29"})

        # RFC 9110 §14.6: multipart/byteranges, each part with its own Content-Range.
        assert answer.status_code == 206
        boundary = answer.headers["Content-Type"].removeprefix("multipart/byteranges; boundary=").encode()
        parts = answer.content.split(b"--" + boundary)[1:-1]
        assert [part.split(b"\r\n\r\n", 1)[1].removesuffix(b"\r\n") for part in parts] == [
            BODY[:10],
            BODY[20:30],
        ]


@pytest.mark.parametrize("wanted", ["bytes=a-b", "items=0-1", "bytes=9-2", "bytes", "bytes=0-9;x"])
def test_a_range_that_makes_no_sense_is_ignored_or_refused(
    shared_stack: ImageStack, image: dict[str, Any], wanted: str
) -> None:
    for url in ways(image):
        answer = shared_stack.http.get(url, headers={"Range": wanted})

        # RFC 9110 §14.2 lets a server ignore it, §15.5.17 lets it answer 416.
        assert answer.status_code in (200, 416)
        assert answer.status_code == 416 or answer.content == BODY


def test_a_range_counts_only_for_the_version_that_if_range_names(
    shared_stack: ImageStack, image: dict[str, Any]
) -> None:
    etag = f'"{image["sha256"][:32]}"'

    for url in ways(image):
        for condition, status in {
            etag: 206,
            '"other"': 200,
            "W/" + etag: 200,
            "Wed, 21 Oct 2015 07:28:00 GMT": 200,
        }.items():
            headers = {"Range": "bytes=0-9", "If-Range": condition}
            answer = shared_stack.http.get(url, headers=headers)
            expected = BODY[:10] if status == 206 else BODY
            assert (answer.status_code, answer.content) == (status, expected), f"{url} {condition}"


HOSTILE_NAMES = [
    'a"b.jpg',
    "a\\b.jpg",
    "Grüße – Zoë.jpg",
    "😀.png",
    "a;b=c.jpg",
    "../../etc/passwd",
    "%22.jpg",
    "'",
]


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_a_download_is_named_as_asked_whatever_the_name(
    shared_stack: ImageStack, image: dict[str, Any], name: str
) -> None:
    urls = [f"/image/read?id={image['id']}", "/reads/folder/photo.jpg", of_rendition(image)]
    for url in urls:
        separator = "&" if "?" in url else "?"

        for answer in twice(shared_stack, "GET", f"{url}{separator}download={quote(name, safe='')}"):
            assert answer.status_code == 200
            header = answer.headers["Content-Disposition"]
            # RFC 6266 with RFC 8187: an ASCII name for old clients, the whole name for others.
            found = re.fullmatch(
                r"""attachment; filename="([^"\\]*)"; filename\*=UTF-8''([\w.~%-]+)""", header
            )
            assert found, header
            assert found[1].isascii()
            assert unquote(found[2]) == name
        # The name does not stick to the next answer.
        assert "Content-Disposition" not in shared_stack.http.get(url).headers


@pytest.mark.parametrize("name", ["", "a%0d%0aSet-Cookie:%20x=1", "a%00", "x" * 256, "%ff", "%E2%80%AE"])
def test_a_download_name_with_control_characters_is_refused(
    shared_stack: ImageStack, image: dict[str, Any], name: str
) -> None:
    answer = shared_stack.http.get(f"/image/read?id={image['id']}&download={name}")

    assert answer.status_code == 400
    assert "Set-Cookie" not in answer.headers


def test_one_md5_for_two_pictures_answers_the_one_that_was_first(shared_stack: ImageStack) -> None:
    """The md5 of the second is forged in its row: colliding pictures cannot be made in a test."""
    first, second = pictures.photo(100, 80, seed=32), pictures.photo(100, 80, seed=33)
    one, other = (
        shared_stack.upload(body, "reads", f"collides-{n}") for n, body in enumerate([first, second])
    )
    with contextlib.closing(sqlite3.connect(shared_stack.folder / "data" / "imagestore.db")) as database:
        row = (one["md5sum"], other["id"])
        database.execute("UPDATE image_info SET md5sum = ?, rev = rev + 1 WHERE id = ?", row)
        database.commit()
    with redis.Redis(port=shared_stack.redis.port) as cache:
        cache.flushall()

    for digest in (one["md5sum"], one["sha256"]):
        assert shared_stack.http.get(f"/image/info?sum={digest}").json()["id"] == one["id"]
        assert shared_stack.http.get(f"/image/read?sum={digest}").content == first
    assert shared_stack.http.get(f"/image/read?sum={other['sha256']}").content == second
    assert shared_stack.http.get(f"/image/read?id={other['id']}").content == second
    # The second was asked for last, which must not change who answers to the sum.
    assert shared_stack.http.get(f"/image/read?sum={one['md5sum']}").content == first
