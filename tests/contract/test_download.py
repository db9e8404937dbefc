"""Downloads from a real origin on loopback: what is stored, and every way it can fail."""

import contextlib
import gzip
import hashlib
import ipaddress
import socket
import ssl
import threading
import time
import tracemalloc
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.utils import formatdate
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from imagestore.dialing import connect_tcp, resolve_by_system
from imagestore.download import Fetched, Fetcher
from imagestore.errors import FetchFailed, FetchTargetForbidden, InsufficientStorage, InvalidURL
from imagestore.guard import Address
from imagestore.spool import Spool
from tests import origin as web
from tests.certificates import Certificate, self_signed
from tests.dnsserver import SERVER_FAILURE, SILENCE, name_server
from tests.origin import Origin

MIB = 1024 * 1024
BODY = bytes(range(256)) * 1000
"""256,000 bytes: more than one read."""

PUBLIC = "93.184.215.14"
"""An address of a site. Nothing here ever connects to it: see `Wire`."""


@dataclass
class Wire:
    """A `Connect` that notes where a connection would go, and ends it at `port` of loopback."""

    port: int
    wanted: list[tuple[str, int]] = field(default_factory=list)

    def __call__(self, address: Address, port: int, timeout_s: float) -> socket.socket:
        self.wanted.append((str(address), port))
        return socket.create_connection(("127.0.0.1", self.port), timeout_s)


@pytest.fixture
def server() -> Iterator[Origin]:
    with web.origin() as running:
        yield running


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "spool")


@pytest.fixture
def fetcher(server: Origin) -> Fetcher:
    return fetcher_for(server)


def fetcher_for(server: Origin, *, total_timeout_s: float = 10, connect_timeout_s: float = 5) -> Fetcher:
    return Fetcher(
        allow=[server.service],
        user_agent="imagestore-test/1",
        max_bytes=MIB,
        total_timeout_s=total_timeout_s,
        connect_timeout_s=connect_timeout_s,
    )


def failure(fetcher: Fetcher, url: str, spool: Spool) -> FetchFailed:
    """How the fetch fails; it leaves nothing in the spool."""
    with pytest.raises(FetchFailed) as caught, fetcher.fetch(url, spool):
        pytest.fail("it did not fail")
    assert list(spool._folder.iterdir()) == []
    return caught.value


def stored(fetcher: Fetcher, url: str, spool: Spool) -> tuple[Fetched, bytes]:
    with fetcher.fetch(url, spool) as fetched:
        assert fetched.spooled is not None
        return fetched, fetched.spooled.path.read_bytes()


def test_body_is_spooled_with_its_digests_and_gone_afterwards(
    server: Origin, fetcher: Fetcher, spool: Spool
) -> None:
    headers = {
        "Content-Type": "Image/PNG; charset=x",
        "ETag": '"v1"',
        "Last-Modified": formatdate(0, usegmt=True),
    }
    server.paths["/a.png"] = web.answer(headers=headers, body=BODY)

    with fetcher.fetch(server.url("/a.png?size=1#part"), spool) as fetched:
        assert fetched.spooled is not None
        assert fetched.spooled.path.read_bytes() == BODY
        assert fetched.spooled.head == BODY[:64]
        assert fetched.spooled.content.sha256 == hashlib.sha256(BODY).hexdigest()
        assert fetched.spooled.content.size == 256_000

    assert fetched.final_url == server.url("/a.png?size=1")
    assert (fetched.status, fetched.redirects) == (200, 0)
    assert (fetched.content_type, fetched.etag) == ("image/png", '"v1"')
    assert fetched.last_modified == "Thu, 01 Jan 1970 00:00:00 GMT"
    assert not fetched.spooled.path.exists()


def test_request_says_who_asks_and_nothing_secret(
    server: Origin, fetcher: Fetcher, spool: Spool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    server.paths["/a"] = web.answer(headers={"Set-Cookie": "a=b"}, body=BODY)

    stored(fetcher, server.url("/a"), spool)
    stored(fetcher, server.url("/a"), spool)

    for request in server.requests:
        assert request.method == "GET"
        assert request.headers == {
            "host": server.service,
            "user-agent": "imagestore-test/1",
            "accept": "image/*,*/*;q=0.8",
            "accept-encoding": "identity",
        }


def test_proxies_of_the_environment_are_ignored(
    server: Origin, fetcher: Fetcher, spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.paths["/a"] = web.answer(body=BODY)

    with web.origin() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url(""))
        stored(fetcher, server.url("/a"), spool)

        assert proxy.connections == 0


def test_connection_is_over_while_the_caller_works(server: Origin, fetcher: Fetcher, spool: Spool) -> None:
    ended = threading.Event()

    def answer_and_wait(exchange: web.Exchange) -> None:
        exchange.send(web.head(200, {"Content-Length": "3"}) + b"abc")
        exchange._connection.recv(1)
        ended.set()

    server.paths["/a"] = answer_and_wait

    with fetcher.fetch(server.url("/a"), spool):
        assert ended.wait(5)


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


def test_largest_body_is_taken(server: Origin, fetcher: Fetcher, spool: Spool) -> None:
    server.paths["/a"] = web.answer(body=bytes(MIB))
    server.paths["/b"] = web.gzipped(bytes(MIB))

    assert len(stored(fetcher, server.url("/a"), spool)[1]) == MIB
    assert len(stored(fetcher, server.url("/b"), spool)[1]) == MIB


def test_bomb_is_not_inflated_beyond_the_limit(server: Origin, fetcher: Fetcher, spool: Spool) -> None:
    bomb = gzip.compress(bytes(256 * MIB), compresslevel=1)
    server.paths["/a"] = web.answer(headers={"Content-Encoding": "gzip"}, body=bomb)
    failure(fetcher, server.url("/none"), spool)
    tracemalloc.start()

    try:
        failed = failure(fetcher, server.url("/a"), spool)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert failed.reason == "too-large"
    assert peak < 2 * len(bomb) + 4 * MIB


@pytest.mark.parametrize(
    "behaviour",
    [
        web.hang,
        web.drip(web.head(200) + b"x"),
        web.drip(b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 50),
        web.drip(b"HTTP/1.1 100 Continue\r\n\r\n" * 50),
        web.drip(BODY, after=web.head(200)),
        web.drip(BODY, after=web.head(200, {"Content-Length": "9999"})),
        web.drip(b"1\r\na\r\n" * 99, after=web.head(200, {"Transfer-Encoding": "chunked"})),
    ],
    ids=[
        "silence",
        "slow status",
        "slow headers",
        "slow 100s",
        "slow body without length",
        "slow body",
        "slow chunks",
    ],
)
def test_slow_origin_is_left_at_the_deadline(server: Origin, spool: Spool, behaviour: web.Behaviour) -> None:
    server.paths["/a"] = behaviour
    fetcher = fetcher_for(server, total_timeout_s=0.5)
    began = time.monotonic()

    failed = failure(fetcher, server.url("/a"), spool)

    assert (failed.reason, failed.passing) == ("timeout", True)
    assert 0.4 < time.monotonic() - began < 2.5


def test_deadline_is_one_for_all_redirects(server: Origin, spool: Spool) -> None:
    def slow_redirect(exchange: web.Exchange) -> None:
        exchange.pause(0.3)
        web.redirect("/a")(exchange)

    server.paths["/a"] = slow_redirect

    assert failure(fetcher_for(server, total_timeout_s=0.5), server.url("/a"), spool).reason == "timeout"


def test_full_disk_is_no_fault_of_the_origin(
    server: Origin, fetcher: Fetcher, spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.paths["/a"] = web.answer(body=BODY)

    def no_room(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("imagestore.spool.os.write", no_room)

    with pytest.raises(InsufficientStorage), fetcher.fetch(server.url("/a"), spool):
        pytest.fail("it did not fail")


def test_failure_of_the_caller_stays_the_callers(server: Origin, fetcher: Fetcher, spool: Spool) -> None:
    server.paths["/a"] = web.answer(body=BODY)

    with pytest.raises(TimeoutError, match="mine"), fetcher.fetch(server.url("/a"), spool):
        raise TimeoutError("mine")

    assert list(spool._folder.iterdir()) == []


def test_nobody_listening_may_pass(server: Origin, spool: Spool) -> None:
    with web.origin() as gone:
        pass

    failed = failure(fetcher_for(gone), gone.url("/a"), spool)

    assert (failed.reason, failed.passing) == ("connect", True)


def test_url_outside_the_grammar_is_no_failure_of_the_origin(fetcher: Fetcher, spool: Spool) -> None:
    with pytest.raises(InvalidURL), fetcher.fetch("ftp://127.0.0.1/", spool):
        pytest.fail("it did not fail")


# The same URL given again


@pytest.mark.parametrize(
    "validators", [{"etag": 'W/"v1"'}, {"last_modified": "Thu, 01 Jan 1970 00:00:00 GMT"}], ids=str
)
def test_unchanged_picture_is_not_sent_again(
    server: Origin, fetcher: Fetcher, spool: Spool, validators: dict[str, str]
) -> None:
    server.paths["/a"] = web.versioned(BODY, **validators)
    first, _ = stored(fetcher, server.url("/a"), spool)

    with fetcher.fetch(server.url("/a"), spool, etag=first.etag, last_modified=first.last_modified) as again:
        assert again.spooled is None

    assert again.status == 304
    assert (again.etag, again.last_modified) == (first.etag, first.last_modified)


def test_changed_picture_is_sent_again(server: Origin, fetcher: Fetcher, spool: Spool) -> None:
    server.paths["/a"] = web.versioned(BODY, etag='"v2"')

    with fetcher.fetch(server.url("/a"), spool, etag='"v1"') as fetched:
        assert fetched.spooled is not None

    assert (fetched.status, fetched.etag) == (200, '"v2"')


def test_validators_go_only_to_the_url_they_came_from(server: Origin, fetcher: Fetcher, spool: Spool) -> None:
    server.paths["/a"] = web.redirect("/b")
    server.paths["/b"] = web.versioned(BODY, etag='"v1"')
    first, _ = stored(fetcher, server.url("/a"), spool)

    with fetcher.fetch(server.url("/a"), spool, etag=first.etag, final_url=first.final_url) as again:
        assert again.status == 304
    server.paths["/a"] = web.redirect("/c")
    server.paths["/c"] = web.versioned(BODY[::-1], etag='"v1"')
    with fetcher.fetch(server.url("/a"), spool, etag=first.etag, final_url=first.final_url) as other:
        assert other.status == 200

    assert [request.target for request in server.requests if "if-none-match" in request.headers] == ["/b"]


@pytest.mark.parametrize("etag", ["v1", '"a\tb"', '"é"', '"' + "a" * 300 + '"', 'w/"v"', '"a""b"'])
def test_malformed_etag_is_neither_kept_nor_sent(
    server: Origin, fetcher: Fetcher, spool: Spool, etag: str
) -> None:
    server.paths["/a"] = web.answer(headers={"ETag": etag}, body=BODY)

    assert stored(fetcher, server.url("/a"), spool)[0].etag is None
    with fetcher.fetch(server.url("/a"), spool, etag=etag, last_modified="x\r\nInjected: y"):
        pass

    assert "if-none-match" not in server.requests[-1].headers
    assert "if-modified-since" not in server.requests[-1].headers


@pytest.mark.parametrize("claimed", ["", "image", "image/png/x", "<script>/x", "image/" + "a" * 65, "a b/c"])
def test_claimed_type_outside_its_grammar_is_left_out(
    server: Origin, fetcher: Fetcher, spool: Spool, claimed: str
) -> None:
    server.paths["/a"] = web.answer(headers={"Content-Type": claimed}, body=BODY)

    assert stored(fetcher, server.url("/a"), spool)[0].content_type is None


# Names


def test_name_goes_into_the_host_header_and_its_address_is_connected_to(server: Origin, spool: Spool) -> None:
    server.paths["/a"] = web.answer(body=BODY)
    wire = Wire(server.port)

    with name_server(pictures=[[PUBLIC, "2606:2800::1"]]) as names:
        fetcher = Fetcher(user_agent="t", max_bytes=MIB, resolve=names.resolve, connect=wire)
        stored(fetcher, "http://pictures.test/a", spool)

    assert wire.wanted == [("2606:2800::1", 80)]
    assert server.requests[0].headers["host"] == "pictures.test"
    assert names.questions == ["pictures.test"]


def test_next_address_is_tried_when_one_refuses(server: Origin, spool: Spool) -> None:
    server.paths["/a"] = web.answer(body=BODY)
    wire = Wire(server.port)

    def refuse_v6(address: Address, port: int, timeout_s: float) -> socket.socket:
        connection = wire(address, port, timeout_s)
        if address.version == 6:
            connection.close()
            raise ConnectionRefusedError
        return connection

    with name_server(pictures=[[PUBLIC, "2606:2800::1"]]) as names:
        fetcher = Fetcher(user_agent="t", max_bytes=MIB, resolve=names.resolve, connect=refuse_v6)
        stored(fetcher, "http://pictures.test/a", spool)

    assert wire.wanted == [("2606:2800::1", 80), (PUBLIC, 80)]


@pytest.mark.parametrize(
    ("name", "passing"), [("missing", False), ("broken", True), ("silent", True), ("empty", False)]
)
def test_name_that_does_not_resolve_is_a_failure(spool: Spool, name: str, passing: bool) -> None:
    with name_server(broken=[[SERVER_FAILURE]], silent=[[SILENCE]], empty=[[]]) as names:
        fetcher = Fetcher(user_agent="t", max_bytes=MIB, connect_timeout_s=0.5, resolve=names.resolve)
        began = time.monotonic()

        failed = failure(fetcher, f"http://{name}.test/", spool)

    assert (failed.reason, failed.passing) == ("dns", passing)
    assert time.monotonic() - began < 2


def test_system_resolver_that_hangs_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()

    def hang(host: str, port: None, type: int, flags: int) -> list[object]:
        if flags == socket.AI_NUMERICHOST:
            raise socket.gaierror(socket.EAI_NONAME, "a name")
        release.wait(20)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", hang)

    try:
        with pytest.raises(TimeoutError):
            resolve_by_system("pictures.test", 0.1)
    finally:
        release.set()


def test_connection_that_is_not_answered_is_left_at_the_connect_timeout(spool: Spool) -> None:
    # A full queue of a listener that never accepts: Linux drops what comes on top.
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        queued = [connect_tcp_without_waiting(port) for _ in range(3)]
        fetcher = Fetcher(allow=[f"127.0.0.1:{port}"], user_agent="t", max_bytes=MIB, connect_timeout_s=0.5)

        failed = failure(fetcher, f"http://127.0.0.1:{port}/", spool)

        for connection in queued:
            connection.close()
    assert (failed.reason, failed.passing) == ("timeout", True)


def connect_tcp_without_waiting(port: int) -> socket.socket:
    connection = socket.socket()
    connection.setblocking(False)
    connection.connect_ex(("127.0.0.1", port))
    return connection


# TLS


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return self_signed("pictures.test", tmp_path_factory.mktemp("tls"))


def tls_fetcher(server: Origin, trusted: ssl.SSLContext | None = None) -> Fetcher:
    return Fetcher(
        user_agent="t",
        max_bytes=MIB,
        connect_timeout_s=2,
        tls=trusted,
        resolve=lambda host, timeout_s: [PUBLIC],
        connect=Wire(server.port),
    )


def test_certificate_is_verified_for_the_name(certificate: Certificate, spool: Spool) -> None:
    with web.origin({"/a": web.answer(body=BODY)}, tls=certificate.server()) as server:
        fetcher = tls_fetcher(server, certificate.trusted())

        assert stored(fetcher, "https://pictures.test/a", spool)[1] == BODY
        assert server.server_names == ["pictures.test"]
        assert server.requests[0].headers["host"] == "pictures.test"
        assert failure(fetcher, "https://other.test/a", spool).reason == "tls"
        assert failure(fetcher, f"https://{PUBLIC}/a", spool).reason == "tls"
        assert len(server.requests) == 1


def test_certificate_that_nobody_vouches_for_is_refused(certificate: Certificate, spool: Spool) -> None:
    with web.origin({"/a": web.answer(body=BODY)}, tls=certificate.server()) as server:
        failed = failure(tls_fetcher(server), "https://pictures.test/a", spool)

        assert (failed.reason, failed.passing) == ("tls", False)
        assert server.requests == []


def test_slow_handshake_is_left_at_the_connect_timeout(spool: Spool) -> None:
    def drip_a_record() -> None:
        with listener.accept()[0] as connection, contextlib.suppress(OSError):
            connection.sendall(b"\x16\x03\x03\x40\x00")
            connection.settimeout(0.02)
            while True:
                connection.sendall(b"\0")
                with contextlib.suppress(TimeoutError):
                    connection.recv(65536)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=drip_a_record)
        thread.start()
        fetcher = Fetcher(
            user_agent="t",
            max_bytes=MIB,
            connect_timeout_s=0.5,
            resolve=lambda host, timeout_s: [PUBLIC],
            connect=Wire(listener.getsockname()[1]),
        )

        assert failure(fetcher, "https://pictures.test/a", spool).reason == "timeout"
        thread.join()


def test_server_without_tls_is_refused(spool: Spool) -> None:
    def answer_in_the_clear() -> None:
        with listener.accept()[0] as connection:
            connection.sendall(b"HTTP/1.1 400 Bad\r\n\r\n")
            connection.recv(65536)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=answer_in_the_clear)
        thread.start()
        fetcher = Fetcher(
            user_agent="t",
            max_bytes=MIB,
            resolve=lambda host, timeout_s: [PUBLIC],
            connect=Wire(listener.getsockname()[1]),
        )

        assert failure(fetcher, "https://pictures.test/a", spool).reason == "tls"
        thread.join()


def test_slow_body_over_tls_is_left_at_the_deadline(certificate: Certificate, spool: Spool) -> None:
    with web.origin({"/a": web.drip(BODY, after=web.head(200))}, tls=certificate.server()) as server:
        fetcher = Fetcher(
            user_agent="t",
            max_bytes=MIB,
            total_timeout_s=0.5,
            tls=certificate.trusted(),
            resolve=lambda host, timeout_s: [PUBLIC],
            connect=Wire(server.port),
        )

        assert failure(fetcher, "https://pictures.test/a", spool).reason == "timeout"


def test_connecting_leaves_no_socket_behind_when_refused() -> None:
    with web.origin() as gone:
        pass

    with pytest.raises(ConnectionRefusedError):
        connect_tcp(ipaddress.ip_address("127.0.0.1"), gone.port, 1)
