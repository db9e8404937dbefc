"""nginx in front of a stand-in for the API: what it refuses itself, and what its errors look like."""

import os
from pathlib import Path

import pytest

from tests.front import Front, front
from tests.frontanswers import assert_problem, raw_exchange, raw_problem


@pytest.mark.parametrize(
    ("request_bytes", "status", "name"),
    [
        (b"GET /x?" + b"a" * 8300 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414, "uri-too-long"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nA: " + b"a" * 8300 + b"\r\n\r\n", 431, "headers-too-large"),
        (
            b"GET / HTTP/1.1\r\nHost: a\r\n"
            + b"".join(b"A%d: %s\r\n" % (i, b"a" * 4000) for i in range(9))
            + b"\r\n",
            431,
            "headers-too-large",
        ),
        (b"GET / HTTP/1.1\r\n\r\n", 400, "invalid-request"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, "invalid-request"),
        (b"GET /../x HTTP/1.1\r\nHost: a\r\n\r\n", 400, "invalid-request"),
        (b"GET /d/%00 HTTP/1.1\r\nHost: a\r\n\r\n", 400, "invalid-request"),
        (b"GET /d/%zz HTTP/1.1\r\nHost: a\r\n\r\n", 400, "invalid-request"),
        (b"G@T / HTTP/1.1\r\nHost: a\r\n\r\n", 400, "invalid-request"),
        (b"GET / HTTP/3.0\r\nHost: a\r\n\r\n", 400, "invalid-request"),
        (
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            400,
            "invalid-request",
        ),
        (
            b"POST /x/y HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nabcd",
            400,
            "invalid-request",
        ),
        (b"POST /x/y HTTP/1.1\r\nHost: a\r\nContent-Length: +4\r\n\r\nabcd", 400, "invalid-request"),
        (
            b"POST /x/y HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
            400,
            "invalid-request",
        ),
        (b"TRACE / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 405, "method-not-allowed"),
    ],
    ids=lambda value: value[:40].decode() if isinstance(value, bytes) else None,
)
def test_refused_request_is_a_problem_and_reaches_nobody(
    always: Front, request_bytes: bytes, status: int, name: str
) -> None:
    received = raw_exchange(always.nginx.port, request_bytes)

    assert received.startswith(b"HTTP/1.1 %d" % status)
    assert b"Content-Type: application/problem+json\r\n" in received
    assert b"nginx/" not in received
    problem = raw_problem(received)
    assert (problem["type"], problem["status"]) == (f"/problems/{name}", status)
    assert f"X-Request-Id: {problem['instance']}\r\n".encode() in received
    assert always.api.asked == []


def test_refused_method_names_the_allowed_ones(always: Front) -> None:
    answer = always.http.request("TRACE", "/")

    assert_problem(answer, 405, "method-not-allowed")
    assert answer.headers["Allow"] == "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"


@pytest.mark.parametrize("chunked", [False, True])
def test_body_over_the_limit_is_413(tmp_path: Path, chunked: bool) -> None:
    with front(tmp_path, MAX_BODY="102400") as running:
        body = bytes(200_000)
        content = iter([body[:100_000], body[100_000:]]) if chunked else body

        answer = running.http.post("/image/upload", content=content)

        assert_problem(answer, 413, "payload-too-large")
        assert answer.json()["detail"] == "the body is over 102400 bytes"
        assert running.api.asked == []


def test_chunked_upload_arrives_whole_and_with_its_length(always: Front) -> None:
    pieces = [os.urandom(70_000) for _ in range(5)]

    always.http.put("/demo/x", content=iter(pieces))

    (asked,) = always.api.asked
    assert asked.body == b"".join(pieces)
    assert asked.headers["content-length"] == "350000"
    assert "transfer-encoding" not in asked.headers
