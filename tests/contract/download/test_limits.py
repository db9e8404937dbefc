"""Downloads from a real origin: sizes, deadlines and failures of our own."""

import gzip
import time
import tracemalloc

import pytest

from imagestore.download import Fetcher
from imagestore.errors import InsufficientStorage
from imagestore.spool import Spool
from tests import origin as web
from tests.contract.download.fetching import BODY, MIB, failure, fetcher_for, stored
from tests.origin import Origin


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
