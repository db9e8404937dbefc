"""Requests that two parsers may read differently: nobody gets a second request out of one.

Each carries a whole upload where a careless parser would find another request: it must never be run.
"""

import json
import socket

import pytest

from tests import pictures
from tests.api.asking import spoken
from tests.imagestack import API_KEY, ImageStack

PICTURE = pictures.photo(20, 20, seed=77)
KEY = f"Authorization: Bearer {API_KEY}\r\n".encode()
INNER = b"PUT /smuggled/x HTTP/1.1\r\nHost: x\r\n" + KEY
INNER += b"Content-Length: %d\r\n\r\n" % len(PICTURE) + PICTURE

REFUSED_FRAMINGS = [
    b"Content-Length: 5\r\nTransfer-Encoding: chunked",
    b"Transfer-Encoding: chunked\r\nContent-Length: 5",
    b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
    b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
    b"Transfer-Encoding: chunked, identity",
    b"Transfer-Encoding: identity, chunked",
    b"Transfer-Encoding: gzip",
    b"Transfer-Encoding: xchunked",
    b"Transfer-Encoding: chunkedx",
    b'Transfer-Encoding: "chunked"',
    b"Transfer-Encoding: \x0bchunked",
    b"Transfer-Encoding: chunked\x00",
    b"Transfer-Encoding: chunked\r\n : x\r\nContent-Length: 5",
    b"Content-Length: 5\r\nContent-Length: 5",
    b"Content-Length: 5\r\nContent-Length: 0",
    b"Content-Length: 5, 5",
    b"Content-Length: +5",
    b"Content-Length: -1",
    b"Content-Length: 0x5",
    b"Content-Length: 5_0",
    b"Content-Length: 5.0",
    b"Content-Length: 5 5",
    b"Content-Length: \xd9\xa5",
    b"Content-Length: 99999999999999999999999",
    b"Content-Length: 5\x00",
]

REFUSED_CHUNKS = [
    b"-1\r\nabc\r\n0\r\n\r\n",
    b"+3\r\nabc\r\n0\r\n\r\n",
    b"0x3\r\nabc\r\n0\r\n\r\n",
    b" 3\r\nabc\r\n0\r\n\r\n",
    b"3\r\nabcdef\r\n0\r\n\r\n",
    b"ffffffffffffffff1\r\nabc\r\n0\r\n\r\n",
    b"g\r\nabc\r\n0\r\n\r\n",
    b"\r\n0\r\n\r\n",
]

REFUSED_HEADS = [
    b"PUT /outer/x HTTP/1.1\r\n",
    b"PUT /outer/x HTTP/1.1\r\nHost: a\r\nHost: b\r\n",
    b"PUT /outer/x HTTP/1.1\r\nHost: a\r\nhost: a\r\n",
    b"PUT /outer/x HTTP/1.1\r\nHost: a/b\r\n",
    b"PUT /outer/x HTTP/1.1\r\nHost: a\x00b\r\n",
    b"PUT /outer/x HTTP/1.1\r\nHost: \r\n",
    b"PUT /outer/x\x00 HTTP/1.1\r\nHost: a\r\n",
    b"PUT /outer/x HTTP/2.0\r\nHost: a\r\n",
    b"PUT /outer/x http/1.1\r\nHost: a\r\n",
    b"PUT  /outer/x HTTP/1.1 x\r\nHost: a\r\n",
    b"PUT outer/x HTTP/1.1\r\nHost: a\r\n",
    b"CONNECT outer:80 HTTP/1.1\r\nHost: a\r\n",
]

ODD_HEADERS = [
    b"X-Folded: a\r\n b",
    b"X-Folded: a\r\n\tContent-Length: 9",
    b"Content_Length: 9",
    b"Transfer_Encoding: chunked",
    b"Transfer-Encoding : chunked",
    b"Content-Length : 9",
    b"X Spaced: a",
    b": no name",
    b"X-Control\x01: a",
    b"X-Bare-CR: a\rContent-Length: 9",
    b"X-Bare-LF: a\nX-Other: b",
    b"X-Null: a\x00b",
    b"Connection: Content-Length, Host, Authorization",
    b"Connection: upgrade\r\nUpgrade: websocket",
    b"Expect: something-else",
    b"Max-Forwards: 0",
    b"X-HTTP-Method-Override: DELETE",
    b"X-Original-URL: /_original/x\r\nX-Rewrite-URL: /_original/x",
    b"X-Forwarded-Host: evil\r\nX-Forwarded-Prefix: //evil",
    b"SCRIPT_NAME: /x\r\nScript-Name: /x",
]


def answers(said: bytes) -> list[int]:
    """The statuses in what came back on one connection; a body of ours never looks like one."""
    return [int(part[:3]) for part in said.split(b"HTTP/1.1 ")[1:]]


def assert_refused_once(stack: ImageStack, said: bytes) -> None:
    """One problem, then the end of the connection; and the request inside was not run."""
    assert answers(said) in ([400], [405], [413]), said[:300]
    head, _, body = said.partition(b"\r\n\r\n")
    assert b"application/problem+json" in head
    assert json.loads(body)["status"] == answers(said)[0]
    for secret in (b"nginx/", b"gunicorn", str(stack.folder).encode(), b"127.0.0.1"):
        assert secret not in said
    assert_not_run(stack)


def assert_not_run(stack: ImageStack) -> None:
    assert stack.http.get("/images?domain=smuggled").json()["images"] == []


@pytest.mark.parametrize("framing", REFUSED_FRAMINGS, ids=repr)
def test_a_body_of_doubtful_length_is_refused(attacked: ImageStack, framing: bytes) -> None:
    head = b"PUT /outer/x HTTP/1.1\r\nHost: x\r\n" + KEY + framing + b"\r\n\r\n"

    assert_refused_once(attacked, spoken(attacked, head + b"0\r\n\r\n" + INNER))


@pytest.mark.parametrize("chunks", REFUSED_CHUNKS, ids=repr)
def test_broken_chunks_are_refused(attacked: ImageStack, chunks: bytes) -> None:
    head = b"PUT /outer/x HTTP/1.1\r\nHost: x\r\n" + KEY + b"Transfer-Encoding: chunked\r\n\r\n"

    assert_refused_once(attacked, spoken(attacked, head + chunks + INNER))


@pytest.mark.parametrize("head", REFUSED_HEADS, ids=repr)
def test_a_doubtful_head_is_refused(attacked: ImageStack, head: bytes) -> None:
    assert_refused_once(
        attacked, spoken(attacked, head + KEY + b"Content-Length: 5\r\n\r\n0\r\n\r\n" + INNER)
    )


@pytest.mark.parametrize("header", ODD_HEADERS, ids=repr)
def test_an_odd_header_moves_no_border_between_requests(attacked: ImageStack, header: bytes) -> None:
    length = b"Content-Length: %d\r\nConnection: close\r\n" % len(INNER)
    head = b"PUT /outer/odd HTTP/1.1\r\nHost: x\r\n" + KEY + length + header + b"\r\n\r\n"

    said = spoken(attacked, head + INNER)

    # The inner request is no picture: read as the body that it is, it is refused as such.
    assert answers(said) in ([400], [415], [417]), said[:300]
    assert_not_run(attacked)


def test_chunks_with_extensions_and_trailers_are_one_body(attacked: ImageStack) -> None:
    head = b"PUT /outer/chunks HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + KEY
    half = len(PICTURE) // 2
    chunks = b'%X;a="b;c"\r\n%s\r\n' % (half, PICTURE[:half])
    chunks += b"%x ;x\r\n%s\r\n" % (len(PICTURE) - half, PICTURE[half:])
    trailer = b"0\r\nContent-Length: 3\r\nAuthorization: Bearer x\r\n\r\n"

    said = spoken(attacked, head + b"Transfer-Encoding: Chunked\r\n\r\n" + chunks + trailer)

    assert answers(said) in ([200], [201])
    assert attacked.http.get("/outer/chunks").content == PICTURE


def test_nothing_after_an_error_is_answered(attacked: ImageStack) -> None:
    said = spoken(attacked, b"G@T / HTTP/1.1\r\nHost: x\r\n\r\n" + INNER)

    assert_refused_once(attacked, said)


@pytest.mark.parametrize(
    "line", [b"GET /health/live\r\n\r\n", b"GET /health/live\n", b"GET /images HTTP/0.9\r\n\r\n"]
)
def test_http_09_gets_nothing_wrong(attacked: ImageStack, line: bytes) -> None:
    said = spoken(attacked, line)

    assert len(answers(said)) <= 1
    assert b"Internal" not in said


def test_requests_in_a_row_are_answered_in_order(attacked: ImageStack) -> None:
    one = b"GET /images/%d HTTP/1.1\r\nHost: x\r\n%s\r\n"
    end = b"Connection: close\r\n"

    said = spoken(attacked, b"".join(one % (n, end if n == 3 else b"") for n in (1, 999_999, 2, 3)))

    assert answers(said) == [200, 404, 200, 200]


def test_problem_of_a_request_that_gunicorn_cannot_parse_has_the_id(
    attacked: ImageStack,
) -> None:
    # nginx passes methods of any length on; gunicorn takes 3 to 20 letters.
    with socket.create_connection(("127.0.0.1", attacked.nginx.port), timeout=30) as client:
        client.sendall(
            b"AB /images HTTP/1.1\r\nHost: x\r\nX-Request-Id: an-id-of-ours\r\nConnection: close\r\n\r\n"
        )
        answer = b"".join(iter(lambda: client.recv(4096), b""))

    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert head.count(b"X-Request-Id: an-id-of-ours") == 1
    assert json.loads(body)["instance"] == "an-id-of-ours"
    assert json.loads(body)["type"] == "/problems/invalid-request"
