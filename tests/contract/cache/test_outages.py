"""A Redis that is away, hangs or is full, and a cache that was inherited by a fork."""

import logging
import os
import time
from pathlib import Path

import pytest
import redis

from imagestore.cache import Cache, CachedPicture
from imagestore.errors import ImageInvalid
from tests.contract.cache.samples import FIELD, PICTURE, RECIPE, RECORD, SHA, Maker, at_rev, make_cache
from tests.servers import redis_server, wait_until


def test_redis_away_is_a_miss_and_writes_say_so(tmp_path: Path) -> None:
    with redis_server(tmp_path) as server:
        cache = make_cache(server.port)
        assert cache.check()
        server.kill()

        assert not cache.check()
        assert cache.record(7) is None
        assert cache.record_by_name("demo", "x") is None
        assert cache.picture(SHA, FIELD) is None
        assert not cache.publish(RECORD)
        assert not cache.bar(7, 4)
        assert not cache.bury(7, 4)
        cache.keep(SHA, FIELD, '"e"', PICTURE)
        cache.teach("w=300", FIELD, None, RECIPE)
        cache.remember_failure(SHA, FIELD, ImageInvalid("x"))
        cache.forget_pictures(SHA)
        cache.close()


def test_hung_redis_costs_one_timeout_and_comes_back(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with redis_server(tmp_path) as server:
        cache = make_cache(server.port)
        cache.publish(RECORD)
        server.pause()

        began = time.monotonic()
        misses = [cache.record(7) for _ in range(50)]
        took_s = time.monotonic() - began
        server.resume()
        wait_until(lambda: cache.record(7) == RECORD, what="the cache is asked again")

        assert misses == [None] * 50
        # One timeout of 0.3 s, and half a second for a busy machine.
        assert took_s < 0.8
        assert [record.message for record in caplog.records] == [
            "cache is away: TimeoutError",
            "cache is back",
        ]
        cache.close()


def test_bar_is_tried_although_reads_have_given_up(tmp_path: Path) -> None:
    with redis_server(tmp_path) as server:
        cache = make_cache(server.port)
        cache.publish(RECORD)
        server.kill()
        assert cache.record(7) is None
        server.start()
        wait_until(lambda: _answers(server.port), what="Redis has loaded its file")

        assert cache.bar(7, 4)
        assert not cache.publish(RECORD)
        cache.close()


def _answers(port: int) -> bool:
    with redis.Redis(port=port) as client:
        try:
            return bool(client.ping())
        except redis.RedisError:
            return False


def test_full_redis_refuses_writes_and_still_answers(tmp_path: Path) -> None:
    with redis_server(tmp_path) as server, redis.Redis(port=server.port) as raw:
        cache = make_cache(server.port)
        cache.publish(RECORD)
        cache.keep(SHA, FIELD, '"e"', PICTURE)
        # noeviction: nothing can make room. How much an empty Redis takes differs between versions.
        raw.config_set("maxmemory", 1)
        make = Maker()
        make.go.set()

        cache.keep(SHA, "width=301", '"e"', PICTURE)

        assert cache.picture(SHA, "width=301") is None
        assert not cache.publish(at_rev(4))
        assert cache.picture(SHA, FIELD) == CachedPicture('"e"', PICTURE)
        assert cache.record(7) == RECORD
        assert cache.single_flight(SHA, "width=302", '"f"', make) == CachedPicture('"f"', PICTURE)
        assert cache.bar(7, 5)
        assert cache.record(7) is None
        cache.close()


def test_forked_child_may_use_the_cache_of_its_parent(cache: Cache) -> None:
    cache.publish(RECORD)
    assert cache.record(7) == RECORD

    pid = os.fork()
    if pid == 0:
        os._exit(0 if all(cache.record(7) == RECORD for _ in range(100)) else 1)
    answers = [cache.record(7) for _ in range(100)]

    assert os.waitpid(pid, 0)[1] == 0
    assert answers == [RECORD] * 100
