"""Requests that no ordinary client sends: none may be misread, hang, or cause a 5xx."""

import json
import socket

import pytest

from tests import pictures
from tests.api.asking import raw, spoken
from tests.imagestack import API_KEY, ImageStack


@pytest.mark.parametrize(
    "path",
    [
        "/Demo/x.jpg",
        "/" + "d" * 17 + "/x",
        "/demo/" + "x" * 256,
        "/demo/a%00b",
        "/demo/a%5Cb",
        "/demo/%ff",
        "/demo/%0d%0aX-Evil:1",
        "/demo/..%2f..%2fetc%2fpasswd",
        "/demo/a%2f..%2fb",
        "/demo/%2e%2e/x",
        "/demo/.",
    ],
)
@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_names_outside_the_grammar(shared_stack: ImageStack, method: str, path: str) -> None:
    # Raw, since clients tidy such paths before they send them.
    with socket.create_connection(("127.0.0.1", shared_stack.nginx.port), timeout=20) as connection:
        head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n"
        connection.sendall(f"{head}Authorization: Bearer {API_KEY}\r\n\r\n".encode())
        answer = connection.makefile("rb").read().decode()

    # nginx itself refuses a NUL and a path that climbs out of the root.
    assert answer.startswith("HTTP/1.1 400 ")
    assert json.loads(answer.split("\r\n\r\n", 1)[1])["type"] in (
        "/problems/invalid-key",
        "/problems/invalid-request",
    )


@pytest.mark.parametrize(
    "smuggled",
    [
        "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
        "Content-Length: 4\r\nContent-Length: 5\r\n",
        "Content-Length: +4\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Host: other\r\n",
    ],
)
def test_ambiguous_requests_are_refused(shared_stack: ImageStack, smuggled: str) -> None:
    with socket.create_connection(("127.0.0.1", shared_stack.nginx.port), timeout=20) as connection:
        connection.sendall(f"PUT /demo/x HTTP/1.1\r\nHost: x\r\n{smuggled}\r\n0\r\n\r\n".encode())
        status = connection.makefile("rb").readline().split()[1]

    assert status in (b"400", b"501")


PATHS = [
    "//",
    "/v1",
    "/v1/v1/image/read?id=1",
    "/image/read/",
    "/images/1/2",
    "/images/99999999999999999999",
    "/images/%EF%BC%91",
    "/images/1%00",
    "/images?domain=a&after=%ff",
    "/images?domain=a&after=" + "x" * 256,
    "/problems/a%0d%0ab",
    "/metrics?x=%ff",
    "/?%",
    "/_original/aa/bb/cc",
    "/%5foriginal/aa/bb/cc",
    "/_problem",
    "/_remote/",
    "/@api",
    "/demo/",
    "/demo/%",
    "/demo/%u0041",
    "/demo/%c0%ae%c0%ae/x",
    "/demo/%ed%a0%80",
    "/demo/%c2%85",
    "/demo/a?width",
    "/demo/a?%00=1",
    "/demo/a?=",
    "/demo/a?download=%ed%a0%80",
    "/image/read?id=" + "9" * 400,
    "/image/read?id=999999999999999999&width=" + "9" * 9,
    "/image/read?sum=" + "0" * 31 + "%0a",
    "/image/read?id=1&watermark=../x",
    "/image/read?id=1&watermark=%ff",
    "/image/read?id=1&crop=pct:0,0,0,0",
    "/image/read?id=1&crop=1,1,1",
    "/image/read?id=1&width=4096&dpr=4",
    "/image/read?id=1&blur=NaN",
    "/image/read?id=1&blur=1e3",
    "/image/read?id=1&gravity=,&width=1",
    "/image/read?id=1&format=heic",
    "/image/read?id=1&" + "&".join(f"a{n}=1" for n in range(500)),
]


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path[:40])
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "get"])
def test_odd_paths_end_as_problems(shared_stack: ImageStack, method: str, path: str) -> None:
    answer = raw(shared_stack, method, path, b"x" if method in ("POST", "PUT", "PATCH") else b"")

    assert answer.status_code < 500, answer.text
    if answer.status_code >= 400:
        assert answer.headers["Content-Type"] == "application/problem+json"


HEADERS = [
    b"Accept: " + b"x" * 7000,
    b"Accept: image/webp;q=abc,,,;;;,image/avif;q=",
    b"Accept: \xff\xfe",
    b"Accept: image/webp\r\nAccept: image/avif",
    b'If-None-Match: "',
    b"If-None-Match: W/",
    b"If-None-Match: " + b'"a",' * 1500,
    b"If-None-Match: \xff",
    b'If-None-Match: "a"\r\nIf-None-Match: *',
    b"If-Match: \xff",
    b"Range: bytes=" + b"1-1," * 800 + b"2-2",
    b"Range: bytes=99999999999999999999999-",
    b"Range: bytes=-99999999999999999999999",
    b"Range: bytes=-0",
    b"Range: \xff",
    b"If-Range: \xff\r\nRange: bytes=0-1",
    b"If-Modified-Since: garbage",
    b"If-Unmodified-Since: Wed, 21 Oct 2015 07:28:00 GMT",
    b'X-Request-Id: evil"id',
    b"X-Accel-Redirect: /_original/x",
    b"X-Original-Url: http://127.0.0.1:1/",
    b"Content-Encoding: gzip",
    b"Content-Type: \xff",
    b"Cookie: " + b"a=b;" * 1000,
    b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__",
    b'Forwarded: for="\\"',
]


@pytest.mark.parametrize("header", HEADERS, ids=lambda header: header[:30].decode("latin-1"))
def test_odd_headers_harm_nobody(shared_stack: ImageStack, header: bytes) -> None:
    body = pictures.photo(60, 40, seed=82)
    image = shared_stack.upload(body, "hostile", "picture.jpg")
    key = f"Authorization: Bearer {API_KEY}\r\nHost: x\r\nConnection: close\r\n".encode()

    for path in ("/hostile/picture.jpg", f"/image/read?id={image['id']}&width=20&format=auto", "/v1/images"):
        said = spoken(shared_stack, f"GET {path} HTTP/1.1\r\n".encode() + key + header + b"\r\n\r\n")
        assert said[:10] in (b"HTTP/1.1 2", b"HTTP/1.1 3", b"HTTP/1.1 4"), said[:300]
        assert b"evil" not in said
    length = f"Content-Length: {len(body)}\r\n".encode()
    said = spoken(shared_stack, b"PUT /hostile/new HTTP/1.1\r\n" + key + length + header + b"\r\n\r\n" + body)
    assert said[:10] in (b"HTTP/1.1 2", b"HTTP/1.1 4"), said[:300]


@pytest.mark.parametrize(
    "request_line", ["X" * 40 + " /health/live HTTP/1.1", "GET /nowhere/\xe9 HTTP/1.1", "GET /?\xe9 HTTP/1.1"]
)
def test_what_gunicorn_itself_refuses_is_a_problem_too(shared_stack: ImageStack, request_line: str) -> None:
    head = f"{request_line}\r\nHost: x\r\nConnection: close\r\n\r\n".encode("latin-1")

    status, _, rest = spoken(shared_stack, head).decode("latin-1").partition("\r\n")

    assert status.split()[1] in ("400", "404")
    assert "Content-Type: application/problem+json" in rest
    assert json.loads(rest.split("\r\n\r\n", 1)[1])["type"] in (
        "/problems/invalid-request",
        "/problems/invalid-key",
    )


def test_nothing_of_all_this_was_a_bug(shared_stack: ImageStack) -> None:
    """Whatever ran before on the shared stack: the log of the API holds no traceback."""
    assert "Traceback" not in shared_stack.api.log.read_text()
