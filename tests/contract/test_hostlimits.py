"""The limits of each host, on a real Redis."""

import contextlib
from collections.abc import Iterator
from contextlib import closing

import pytest
import redis as redis_client

from imagestore import hostlimits
from imagestore.errors import QueueUnavailable
from imagestore.hostlimits import HostLimits
from tests.servers import Server, redis_server, wait_until


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def url(redis: Server) -> str:
    with redis_client.Redis(port=redis.port) as client:
        client.flushall()
    return f"redis://127.0.0.1:{redis.port}/0"


def waits(limits: HostLimits, host: str) -> float:
    """How long somebody would have to wait who asks now."""
    with limits.place(host) as place:
        return place.wait_s


def test_so_many_places_at_once_over_all_workers(url: str) -> None:
    with (
        closing(HostLimits(url, concurrency=2, rate=1000)) as one,
        closing(HostLimits(url, concurrency=2, rate=1000)) as other,
    ):
        with one.place("a") as first, other.place("a") as second:
            third = waits(one, "a")
            elsewhere = waits(one, "b")
        afterwards = waits(other, "a")

    assert (first.wait_s, second.wait_s, elsewhere, afterwards) == (0, 0, 0, 0)
    assert third == hostlimits.BUSY_S


def test_so_many_new_ones_a_second(url: str) -> None:
    with closing(HostLimits(url, concurrency=100, rate=4)) as limits:
        waited = [waits(limits, "a") for _ in range(5)]

    assert waited[:4] == [0, 0, 0, 0]
    # A quarter of a second after the fourth, less what the calls took.
    assert 0 < waited[4] <= 0.25


def test_less_than_one_a_second(url: str) -> None:
    with closing(HostLimits(url, concurrency=100, rate=0.1)) as limits:
        waited = [waits(limits, "a") for _ in range(2)]

    assert waited[0] == 0
    assert 9 < waited[1] <= 10


def test_a_place_that_is_not_kept_comes_free(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hostlimits, "LEASE_S", 1)
    with contextlib.ExitStack() as stack:
        limits = stack.enter_context(closing(HostLimits(url, concurrency=1, rate=1000)))
        kept = stack.enter_context(limits.place("kept"))
        stack.enter_context(limits.place("silent"))

        def silent_is_free() -> bool:
            kept.keep()
            return waits(limits, "silent") == 0

        wait_until(silent_is_free, what="the end of the lease", timeout_s=5)

        assert waits(limits, "kept") > 0


def test_without_redis_nobody_is_asked(url: str, redis: Server) -> None:
    with closing(HostLimits(url, concurrency=1, rate=1)) as limits:
        redis.kill()
        try:
            with pytest.raises(QueueUnavailable), limits.place("a"):
                pass
        finally:
            redis.start()
