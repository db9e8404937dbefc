"""How often a caller may ask, on a real Redis and without one."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from imagestore.keylimits import KeyLimits
from tests.servers import Server, free_port, redis_server, wait_until


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Server]:
    with redis_server(tmp_path / "redis") as server:
        yield server


def granted(limits: KeyLimits, caller: str, times: int = 50) -> int:
    """How many of so many requests at once may go on."""
    return [limits.take(caller) for _ in range(times)].count(0)


def test_a_burst_of_two_seconds_goes_on_and_the_rest_is_told_when_to_come(redis: Server) -> None:
    url = f"redis://127.0.0.1:{redis.port}/0"
    with closing(KeyLimits(url, rate=0.1)) as slow, closing(KeyLimits(url, rate=1)) as limits:
        assert granted(limits, "a", 20) in (2, 3)
        assert 0 < limits.take("a") <= 1
        assert limits.take("b") == 0
        assert granted(slow, "c") == 1
        assert 9 < slow.take("c") <= 10
        wait_until(lambda: limits.take("a") == 0, what="the next request")


def test_all_processes_count_together(redis: Server) -> None:
    url = f"redis://127.0.0.1:{redis.port}/0"
    with closing(KeyLimits(url, rate=0.5)) as one, closing(KeyLimits(url, rate=0.5)) as other:
        assert granted(one, "a") + granted(other, "a") == 1


def test_no_limit_asks_nobody() -> None:
    with closing(KeyLimits(f"redis://127.0.0.1:{free_port()}/0", rate=0)) as limits:
        assert granted(limits, "a") == 50


def test_without_redis_each_process_counts_by_itself(redis: Server) -> None:
    with closing(KeyLimits(f"redis://127.0.0.1:{redis.port}/0", rate=0.5)) as limits:
        redis.stop()

        assert granted(limits, "a") == 1
        assert 0 < limits.take("a") <= 2
        redis.start()
        wait_until(lambda: limits.take("b") == 0 and limits.take("b") > 1, what="Redis counts again")
