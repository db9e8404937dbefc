"""Downloads from a real origin: which answers count, and which redirects are followed."""

import contextlib
import gzip
import socket
import time
from email.utils import formatdate

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from imagestore.download import Fetcher
from imagestore.errors import FetchFailed, FetchTargetForbidden
from imagestore.spool import Spool
from tests import origin as web
from tests.contract.download.fetching import BODY, MIB, failure, stored
from tests.origin import Origin


@pytest.mark.parametrize(
    "behaviour",
    [
        web.chunked(BODY[:100_000], BODY[100_000:]),
        web.raw(web.head(200) + BODY),
        web.gzipped(BODY),
        web.gzipped(BODY, "X-GZIP"),
        web.answer(headers={"Content-Encoding": "identity"}, body=BODY),
        web.raw(b"HTTP/1.0 200 Fine\r\n\r\n" + BODY),
        web.raw(
            b"HTTP/1.1 100 Continue\r\n\r\n" + web.head(200, {"Content-Length": "256000"}) + BODY + b"more"
        ),
    ],
    ids=["chunked", "until close", "gzip", "x-gzip", "identity", "HTTP/1.0", "100 Continue first"],
)
def test_every_honest_framing_gives_the_body(
    server: Origin, fetcher: Fetcher, spool: Spool, behaviour: web.Behaviour
) -> None:
    server.paths["/a"] = behaviour

    assert stored(fetcher, server.url("/a"), spool)[1] == BODY


@pytest.mark.parametrize(
    ("status", "passing"),
    [
        *((204, False), (206, False), (300, False), (304, False), (400, False), (401, False), (403, False)),
        *((404, False), (410, False), (451, False), (408, True), (425, True), (429, True)),
        *((500, True), (502, True), (503, True), (504, True)),
    ],
)
def test_only_200_counts(server: Origin, fetcher: Fetcher, spool: Spool, status: int, passing: bool) -> None:
    server.paths["/a"] = web.answer(status, body=b"" if status in (204, 304) else BODY)

    failed = failure(fetcher, server.url("/a"), spool)

    assert (failed.reason, failed.passing) == (f"http-{status}", passing)
    assert failed.retry_after_s is None


def test_status_goes_before_a_compression_that_nobody_asked_for(
    server: Origin, fetcher: Fetcher, spool: Spool
) -> None:
    server.paths["/a"] = web.answer(404, {"Content-Encoding": "br"}, BODY)

    assert failure(fetcher, server.url("/a"), spool).reason == "http-404"


def test_status_is_told_in_the_words_of_the_standard(server: Origin, fetcher: Fetcher, spool: Spool) -> None:
    server.paths["/a"] = web.raw(b"HTTP/1.1 404 <b>10.0.0.1 says no</b>\r\nContent-Length: 0\r\n\r\n")
    server.paths["/b"] = web.raw(b"HTTP/1.1 799 What\r\nContent-Length: 0\r\n\r\n")

    assert failure(fetcher, server.url("/a"), spool).detail == "origin answered 404 Not Found"
    assert failure(fetcher, server.url("/b"), spool).detail == "origin answered 799"


@pytest.mark.parametrize(
    ("value", "least", "most"),
    [
        ("7", 7, 7),
        ("0", 0, 0),
        ("999999999", 86_400, 86_400),
        (formatdate(0, usegmt=True), 0, 0),
    ],
)
def test_pause_that_the_origin_asks_for_is_told(
    server: Origin, fetcher: Fetcher, spool: Spool, value: str, least: float, most: float
) -> None:
    server.paths["/a"] = web.answer(429, {"Retry-After": value})

    pause_s = failure(fetcher, server.url("/a"), spool).retry_after_s

    assert pause_s is not None
    assert least <= pause_s <= most


def test_pause_until_a_date_is_told(server: Origin, fetcher: Fetcher, spool: Spool) -> None:
    later = formatdate(time.time() + 1000, usegmt=True)
    server.paths["/a"] = web.answer(429, {"Retry-After": later})

    pause_s = failure(fetcher, server.url("/a"), spool).retry_after_s

    assert pause_s is not None
    assert 900 <= pause_s <= 1000


@pytest.mark.parametrize("value", ["soon", "-1", "1.5", "٣", "", f"Thu, 01 Jan 2070 00:00:{10**20} GMT"])
def test_pause_that_makes_no_sense_is_left_out(
    server: Origin, fetcher: Fetcher, spool: Spool, value: str
) -> None:
    server.paths["/a"] = web.answer(503, {"Retry-After": value})

    assert failure(fetcher, server.url("/a"), spool).retry_after_s is None


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirect_is_followed(server: Origin, fetcher: Fetcher, spool: Spool, status: int) -> None:
    server.paths["/a/b"] = web.redirect("../c.png", status)
    server.paths["/c.png"] = web.answer(body=BODY)

    fetched, body = stored(fetcher, server.url("/a/b"), spool)

    assert body == BODY
    assert (fetched.final_url, fetched.redirects) == (server.url("/c.png"), 1)


def test_three_redirects_are_followed_and_a_fourth_is_not(
    server: Origin, fetcher: Fetcher, spool: Spool
) -> None:
    for number in range(4):
        server.paths[f"/{number}"] = web.redirect(f"/{number + 1}")
    server.paths["/4"] = web.answer(body=BODY)

    assert stored(fetcher, server.url("/1"), spool)[0].redirects == 3
    assert failure(fetcher, server.url("/0"), spool).reason == "redirects"
    assert [request.target for request in server.requests] == ["/1", "/2", "/3", "/4", "/0", "/1", "/2", "/3"]


@pytest.mark.parametrize(
    "location",
    [
        "ftp://127.0.0.1/",
        "file:///etc/passwd",
        "http://u:p@127.0.0.1/",
        "http://[",
        "data:,x",
        "",
        "http:///",
    ],
)
def test_redirect_that_leads_to_no_url_is_a_failure(
    server: Origin, fetcher: Fetcher, spool: Spool, location: str
) -> None:
    server.paths["/a"] = web.redirect(location)

    failed = failure(fetcher, server.url("/a"), spool)

    assert (failed.reason, failed.passing) == ("redirects", False)
    assert len(server.requests) == 1


def test_redirect_beyond_ascii_is_read_as_utf8(server: Origin, fetcher: Fetcher, spool: Spool) -> None:
    server.paths["/a"] = web.redirect("/é x.png")
    server.paths["/%C3%A9%20x.png"] = web.answer(body=BODY)

    assert stored(fetcher, server.url("/a"), spool)[1] == BODY


@pytest.mark.parametrize(
    ("behaviour", "reason", "passing"),
    [
        (web.answer(body=BODY, length=len(BODY) + 1), "cut-short", True),
        (web.answer(body=b"", length=1), "cut-short", True),
        (web.chunked(BODY, ended=False), "cut-short", True),
        (web.raw(web.head(200, {"Transfer-Encoding": "chunked"}) + b"zz\r\nabc"), "cut-short", True),
        (web.raw(b"HTTP/1.1 200 OK\r\nConte"), "cut-short", True),
        (web.raw(b""), "connect", True),
        (web.reset, "connect", True),
        (web.raw(b"SSH-2.0-OpenSSH_9.2\r\n"), "bad-answer", False),
        (web.raw(b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 200 + b"\r\n"), "bad-answer", False),
        (web.raw(b"HTTP/1.1 200 OK\r\nA: " + b"b" * 70_000 + b"\r\n\r\n"), "bad-answer", False),
        (web.answer(headers={"Content-Encoding": "gzip"}, body=BODY), "content-encoding", False),
        (web.answer(headers={"Content-Encoding": "gzip, gzip"}, body=BODY), "content-encoding", False),
        (web.answer(headers={"Content-Encoding": "br"}, body=BODY), "content-encoding", False),
        (web.answer(body=bytes(MIB + 1)), "too-large", False),
        (web.answer(body=b"", length=10**30), "too-large", False),
        (web.chunked(*[bytes(64 * 1024)] * 17), "too-large", False),
        (web.endless, "too-large", False),
        (web.gzipped(bytes(MIB + 1)), "too-large", False),
    ],
    ids=[
        *(
            "one byte short",
            "no byte",
            "last chunk missing",
            "broken chunk",
            "half the headers",
            "no answer",
            "reset",
            "not HTTP",
        ),
        *("200 headers", "long header", "broken gzip", "gzip twice", "brotli", "announced too large"),
        *("announced absurdly large", "chunks too large", "endless", "too large once inflated"),
    ],
)
def test_answer_that_is_not_whole_is_a_failure(
    server: Origin, fetcher: Fetcher, spool: Spool, behaviour: web.Behaviour, reason: str, passing: bool
) -> None:
    server.paths["/a"] = behaviour

    failed = failure(fetcher, server.url("/a"), spool)

    assert (failed.reason, failed.passing) == (reason, passing)


PIECES = [
    *(
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 302 Found\r\n",
        b"HTTP/1.1 503 \r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n",
    ),
    *(b"\r\n", b"\r\n\r\n", b"\n", b" ", b"\0", b"\xff", b"\xc3(", b"0\r\n\r\n", b"5\r\nabcde\r\n"),
    *(b"Content-Length: ", b"-1", b"5", b"9" * 30, b"Transfer-Encoding: chunked\r\n", b"Content-Encoding: "),
    *(b"gzip\r\n", gzip.compress(b"a"), b"Location: ", b"http://127.0.0.1/", b"[", b"//", b"Retry-After: "),
    *(b"Thu, 01 Jan 2070 00:00:00 GMT\r\n", b"99999", b'ETag: "', b"Content-Type: "),
]


@given(st.lists(st.sampled_from(PIECES) | st.binary(max_size=4), max_size=12), st.booleans())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_are_an_answer_or_a_failure(
    server: Origin, spool: Spool, pieces: list[bytes], begins_well: bool
) -> None:
    server.paths["/a"] = web.raw((PIECES[0] if begins_well else b"") + b"".join(pieces))

    def no_name_server(host: str, timeout_s: float) -> list[str]:
        if host != "127.0.0.1":
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        return [host]

    fetcher = Fetcher(allow=[server.service], user_agent="t", max_bytes=MIB, resolve=no_name_server)

    with (
        contextlib.suppress(FetchFailed, FetchTargetForbidden),
        fetcher.fetch(server.url("/a"), spool) as fetched,
    ):
        assert fetched.status == 200

    assert list(spool._folder.iterdir()) == []
