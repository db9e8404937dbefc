"""Downloads from a real origin: what is asked, what is stored, and what is not asked again."""

import hashlib
import threading
from email.utils import formatdate
from pathlib import Path

import pytest

from imagestore.download import Fetcher
from imagestore.errors import InvalidURL
from imagestore.spool import Spool
from tests import origin as web
from tests.contract.download.fetching import BODY, stored
from tests.origin import Origin


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


def test_url_outside_the_grammar_is_no_failure_of_the_origin(fetcher: Fetcher, spool: Spool) -> None:
    with pytest.raises(InvalidURL), fetcher.fetch("ftp://127.0.0.1/", spool):
        pytest.fail("it did not fail")


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
