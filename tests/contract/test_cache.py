"""The cache on a real Redis: newer beats older, one maker per picture, and a Redis that is away
is a miss and never an error."""

import dataclasses
import logging
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
import redis

from imagestore.cache import MAX_PICTURES_BYTES, MAX_SPELLINGS, Cache, CachedPicture, Gone
from imagestore.errors import (
    ImageInvalid,
    ImagestoreError,
    ImageTooComplex,
    InvalidParameter,
    Overloaded,
    ProcessingTimeout,
    StorageUnavailable,
)
from imagestore.records import ImageRecord, Picture
from tests.servers import Server, redis_server, wait_until

SHA = "5f" * 32
FIELD = "width=300@abc123"
RECIPE = "abc123"
PICTURE = Picture("image/webp", bytes(range(256)) + b"\n\n\r\n")
NOON = datetime(2024, 2, 29, 12, 0, 0, 123000, tzinfo=UTC)
RECORD = ImageRecord(
    id=7,
    rev=3,
    domain="demo",
    dkey="päth/ä b😀.jpg",
    sha256=SHA,
    md5sum="a7" * 16,
    size=1234,
    format="jpeg",
    width=40,
    height=30,
    image_metadata={"frames": 1, "orientation": 6, "alpha": False, "camera": {"make": "Zeiß"}},
    user_metadata={"tags": ["a", None, 1.5]},
    create_time=NOON,
    update_time=NOON,
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with redis_server(tmp_path_factory.mktemp("redis")) as running:
        yield running


@pytest.fixture
def raw(server: Server) -> Iterator[redis.Redis]:
    """An empty Redis, as its keys lie there."""
    with redis.Redis(port=server.port) as client:
        client.flushall()
        yield client


@pytest.fixture
def cache(server: Server, raw: redis.Redis) -> Iterator[Cache]:
    with_cache = make_cache(server.port)
    yield with_cache
    with_cache.close()


def make_cache(
    port: int,
    *,
    fields_max: int = 64,
    bytes_max: int = MAX_PICTURES_BYTES,
    spellings_max: int = MAX_SPELLINGS,
) -> Cache:
    return Cache(
        f"redis://127.0.0.1:{port}/0",
        record_ttl_s=600,
        picture_ttl_s=3600,
        fields_max=fields_max,
        bytes_max=bytes_max,
        spellings_max=spellings_max,
    )


def at_rev(rev: int, **changes: object) -> ImageRecord:
    return dataclasses.replace(RECORD, rev=rev, **changes)  # type: ignore[arg-type]  # any field


# Records.


def test_published_record_is_found_by_id_name_and_sums(cache: Cache) -> None:
    published = cache.publish(RECORD, sums=[RECORD.md5sum, RECORD.sha256])

    assert published
    assert cache.record(7) == RECORD
    assert cache.record_by_name("demo", RECORD.dkey) == RECORD
    assert cache.record_by_sum(RECORD.md5sum) == RECORD
    assert cache.record_by_sum(RECORD.sha256) == RECORD


def test_unknown_record_is_a_miss(cache: Cache) -> None:
    assert cache.record(8) is None
    assert cache.record_by_name("demo", "x") is None
    assert cache.record_by_sum("00" * 16) is None


def test_older_record_is_refused(cache: Cache) -> None:
    cache.publish(RECORD)

    assert not cache.publish(at_rev(2, size=99))
    assert cache.record(7) == RECORD


def test_same_and_newer_records_are_taken(cache: Cache) -> None:
    cache.publish(RECORD)

    assert cache.publish(RECORD)
    assert cache.publish(at_rev(4, size=99))
    assert cache.record(7) == at_rev(4, size=99)


def test_barred_record_is_not_read_and_older_ones_are_refused(cache: Cache) -> None:
    cache.publish(RECORD, sums=[RECORD.md5sum])

    assert cache.bar(7, 4)

    assert cache.record(7) is None
    assert cache.record_by_name("demo", RECORD.dkey) is None
    assert cache.record_by_sum(RECORD.md5sum) is None
    assert not cache.publish(RECORD)


def test_change_that_was_barred_can_be_published(cache: Cache, raw: redis.Redis) -> None:
    cache.publish(RECORD)
    cache.bar(7, 4)

    assert 0 < raw.ttl("record:7") <= 30
    assert cache.publish(at_rev(4))
    assert cache.record(7) == at_rev(4)
    assert 30 < raw.ttl("record:7") <= 600


def test_bar_leaves_what_is_as_new(cache: Cache) -> None:
    cache.publish(at_rev(4))

    assert cache.bar(7, 4)
    assert cache.record(7) == at_rev(4)


def test_tombstone_is_told_from_a_miss_and_refuses_slow_readers(cache: Cache) -> None:
    cache.publish(RECORD, sums=[RECORD.sha256])

    assert cache.bury(7, 4)

    assert cache.record(7) == Gone(7, 4)
    assert cache.record_by_name("demo", RECORD.dkey) is None
    assert cache.record_by_sum(RECORD.sha256) is None
    assert not cache.publish(at_rev(3))
    assert not cache.publish(at_rev(4))


def test_tombstone_may_be_newer_than_any_number_of_changes(cache: Cache) -> None:
    assert cache.bury(7, 2**53)

    assert not cache.publish(at_rev(2**53 - 1))
    assert cache.record(7) == Gone(7, 2**53)


def test_name_that_went_to_another_image_is_a_miss_until_republished(cache: Cache) -> None:
    cache.publish(RECORD)

    cache.publish(at_rev(4, dkey="renamed"))

    assert cache.record_by_name("demo", RECORD.dkey) is None
    assert cache.record_by_name("demo", "renamed") == at_rev(4, dkey="renamed")


def test_sum_of_replaced_content_is_a_miss(cache: Cache) -> None:
    cache.publish(RECORD, sums=[RECORD.md5sum])

    cache.publish(at_rev(4, md5sum="b8" * 16))

    assert cache.record_by_sum(RECORD.md5sum) is None


def test_every_key_has_a_life(cache: Cache, raw: redis.Redis) -> None:
    cache.publish(RECORD, sums=[RECORD.md5sum])
    cache.bury(8, 1)
    cache.bar(9, 1)
    cache.keep(SHA, FIELD, '"e"', PICTURE)
    cache.teach("w=300", FIELD, None, RECIPE)
    cache.remember_failure(SHA, FIELD, ImageInvalid("cut short"))

    keys = raw.keys()

    assert len(keys) == 9
    assert all(raw.ttl(key) > 0 for key in keys)


# Pictures.


def test_kept_picture_comes_back_whole(cache: Cache) -> None:
    cache.keep(SHA, FIELD, '"0123"', PICTURE)

    assert cache.picture(SHA, FIELD) == CachedPicture('"0123"', PICTURE)
    assert cache.picture(SHA, "width=301@abc123") is None


def test_number_of_pictures_is_bounded(server: Server, raw: redis.Redis) -> None:
    cache = make_cache(server.port, fields_max=3)

    for width in range(10):
        cache.keep(SHA, f"width={width}", '"e"', PICTURE)
        assert cache.picture(SHA, f"width={width}") is not None

    assert raw.hlen(f"picture:{SHA}") == 3
    cache.close()


def test_keeping_again_pushes_nothing_out(server: Server, raw: redis.Redis) -> None:
    cache = make_cache(server.port, fields_max=2)
    cache.keep(SHA, "a", '"1"', PICTURE)
    cache.keep(SHA, "b", '"2"', PICTURE)

    cache.keep(SHA, "b", '"3"', PICTURE)

    assert cache.picture(SHA, "a") is not None
    assert cache.picture(SHA, "b") == CachedPicture('"3"', PICTURE)
    cache.close()


def test_bytes_of_the_pictures_of_an_original_are_bounded(server: Server, raw: redis.Redis) -> None:
    cache = make_cache(server.port, bytes_max=1_000_000)
    body = bytes(300_000)

    for width in (*range(10), 9, 9):
        cache.keep(SHA, f"width={width}", '"e"', Picture("image/png", body))
        assert cache.picture(SHA, f"width={width}") is not None

    # Three of them, each with some bytes for its type and ETag.
    assert raw.hlen(f"picture:{SHA}") == 3
    cache.keep(SHA, "all", '"e"', Picture("image/png", bytes(2_000_000)))
    assert raw.hkeys(f"picture:{SHA}") == [b"all"]
    cache.close()


def test_a_walk_over_all_sizes_and_spellings_leaves_other_pictures_alone(tmp_path: Path) -> None:
    # Without its bounds the walk would leave 80 MB of pictures.
    options = ("--maxmemory", "32mb", "--maxmemory-policy", "volatile-lfu", "--appendonly", "no")
    with redis_server(tmp_path, *options) as small:
        cache = make_cache(small.port, spellings_max=200)
        others = [f"{number:02d}" * 32 for number in range(40)]
        for other in others:
            cache.keep(other, FIELD, '"e"', Picture("image/webp", bytes(100_000)))
        cache.teach("w=300", FIELD, None, RECIPE)

        for width in range(800):
            cache.keep(SHA, f"width={width}", '"e"', Picture("image/webp", bytes(100_000)))
            cache.teach(f"w={width}&q=" + "0" * 400, FIELD, None, RECIPE)

        assert sum(cache.picture(other, FIELD) is not None for other in others) == len(others)
        with redis.Redis(port=small.port) as raw:
            assert raw.hlen(f"picture:{SHA}") <= 64
            assert raw.hlen("spellings") == 200
            assert raw.info("stats")["evicted_keys"] == 0
        cache.close()


def test_picture_over_8_mib_is_not_kept(cache: Cache) -> None:
    cache.keep(SHA, "just", '"e"', Picture("image/png", bytes(8 * 1024 * 1024)))
    cache.keep(SHA, "over", '"e"', Picture("image/png", bytes(8 * 1024 * 1024 + 1)))

    assert cache.picture(SHA, "just") is not None
    assert cache.picture(SHA, "over") is None


def test_forgotten_pictures_are_gone(cache: Cache) -> None:
    cache.keep(SHA, FIELD, '"e"', PICTURE)

    cache.forget_pictures(SHA)

    assert cache.picture(SHA, FIELD) is None


# Spellings.


@pytest.mark.parametrize(
    ("spelling", "field", "watermark", "value"),
    [
        ("h=3&w=300", "width=300&height=3@r", None, b"width=300&height=3@r\n"),
        ("watermark=l%C3%B6go", "watermark=l%C3%B6go@r", "lögo", "watermark=l%C3%B6go@r\nlögo".encode()),
        ("format=auto|webp", "format=auto-webp@r", None, b"format=auto-webp@r\n"),
        ("w=" + "0" * 510, "width=1@r", None, b"width=1@r\n"),
    ],
)
def test_spelling_is_taught(
    cache: Cache, raw: redis.Redis, spelling: str, field: str, watermark: str | None, value: bytes
) -> None:
    cache.teach(spelling, field, watermark, RECIPE)

    assert raw.hget("spellings", spelling) == value


@pytest.mark.parametrize(
    ("spelling", "field"),
    [
        ("w=" + "0" * 511, "width=1@r"),
        ("", "original"),
        ("format=%61uto", "format=auto-webp@r"),
        ("i%64=7&w=300", "width=300@r"),
        ("w=300&", "width=300@r"),
        ("&w=300", "width=300@r"),
        ("preset=thumb&|webp", "width=300@r"),
    ],
    ids=["long", "original", "hidden auto", "hidden name", "empty end", "empty start", "empty before class"],
)
def test_spelling_that_nginx_could_misread_is_not_taught(
    cache: Cache, raw: redis.Redis, spelling: str, field: str
) -> None:
    cache.teach(spelling, field, None, RECIPE)

    assert raw.exists("spellings") == 0


# Failures.


@pytest.mark.parametrize(
    "error",
    [
        ImageInvalid("two\nlines"),
        ImageTooComplex("x"),
        ProcessingTimeout("10 s"),
        InvalidParameter("crop", "öff"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_failure_of_picture_or_wish_is_remembered(
    cache: Cache, raw: redis.Redis, error: ImagestoreError
) -> None:
    cache.remember_failure(SHA, FIELD, error)

    found = cache.failure(SHA, FIELD)

    assert type(found) is type(error)
    assert vars(found) == vars(error)
    assert 0 < raw.ttl(f"failure:{SHA}:{FIELD}") <= 10


@pytest.mark.parametrize("error", [Overloaded("full"), StorageUnavailable("away")])
def test_passing_trouble_is_not_remembered(cache: Cache, error: ImagestoreError) -> None:
    cache.remember_failure(SHA, FIELD, error)

    assert cache.failure(SHA, FIELD) is None


# One for all.


class Maker:
    """Makes PICTURE when `go` is set, and counts."""

    def __init__(self, error: Exception | None = None) -> None:
        self.go = threading.Event()
        self.calls = 0
        self._error = error

    def __call__(self) -> Picture:
        self.calls += 1
        assert self.go.wait(20)
        if self._error:
            raise self._error
        return PICTURE


def fly(cache: Cache, make: Maker) -> CachedPicture:
    return cache.single_flight(SHA, FIELD, '"e"', make)


def test_threads_of_all_processes_share_one_making(server: Server, cache: Cache) -> None:
    # Two caches know nothing of each other, as in two processes.
    other, make = make_cache(server.port), Maker()

    with ThreadPoolExecutor(8) as pool:
        flights = [pool.submit(fly, each, make) for each in (cache, other) * 4]
        wait_until(lambda: make.calls > 0, what="one of them makes it")
        make.go.set()
        pictures = [flight.result(10) for flight in flights]

    assert make.calls == 1
    assert pictures == [CachedPicture('"e"', PICTURE)] * 8
    other.close()


def test_lock_is_free_after_the_flight(cache: Cache, raw: redis.Redis) -> None:
    make = Maker()
    make.go.set()

    fly(cache, make)

    assert raw.keys("lock:*") == []


def test_lease_outlives_its_life_while_the_maker_works(cache: Cache, raw: redis.Redis) -> None:
    make, lock = Maker(), f"lock:{SHA}:{FIELD}"

    with ThreadPoolExecutor(1) as pool:
        flight = pool.submit(fly, cache, make)
        wait_until(lambda: 0 < raw.pttl(lock) < 2200, what="some of the life is gone")
        wait_until(lambda: raw.pttl(lock) > 2800, what="the heartbeat renews it")
        make.go.set()
        flight.result(10)


def test_error_of_the_maker_is_shared_and_remembered(server: Server, cache: Cache) -> None:
    other, make = make_cache(server.port), Maker(ImageInvalid("cut short"))

    with ThreadPoolExecutor(6) as pool:
        flights = [pool.submit(fly, each, make) for each in (cache, other) * 3]
        wait_until(lambda: make.calls > 0, what="one of them makes it")
        make.go.set()
        errors = [flight.exception(10) for flight in flights]

    assert make.calls == 1
    assert [(type(error), str(error)) for error in errors] == [(ImageInvalid, "cut short")] * 6
    with pytest.raises(ImageInvalid):
        fly(cache, make)
    assert make.calls == 1
    other.close()


def test_overload_is_shared_but_not_remembered(cache: Cache) -> None:
    make = Maker(Overloaded("full"))
    make.go.set()

    for _ in range(2):
        with pytest.raises(Overloaded):
            fly(cache, make)

    assert make.calls == 2


def test_bug_in_one_flight_does_not_block_the_next(cache: Cache) -> None:
    broken, sound = Maker(ZeroDivisionError()), Maker()
    broken.go.set()
    sound.go.set()

    with pytest.raises(ZeroDivisionError):
        fly(cache, broken)

    assert fly(cache, sound) == CachedPicture('"e"', PICTURE)


def _make_for_ever(port: int) -> None:
    fly(make_cache(port), Maker())


def test_killed_maker_blocks_the_others_for_3_seconds_at_most(
    server: Server, cache: Cache, raw: redis.Redis
) -> None:
    child = multiprocessing.get_context("spawn").Process(target=_make_for_ever, args=(server.port,))
    child.start()
    wait_until(lambda: bool(raw.keys("lock:*")), what="the child leads")
    assert child.pid is not None
    os.kill(child.pid, signal.SIGKILL)
    child.join()
    make = Maker()
    make.go.set()

    began = time.monotonic()
    picture = fly(cache, make)

    assert picture == CachedPicture('"e"', PICTURE)
    # The lease's 3 s, and 1 s for a busy machine.
    assert time.monotonic() - began < 4


def test_without_redis_it_is_still_one_maker_per_process(tmp_path: Path) -> None:
    with redis_server(tmp_path) as server:
        cache, make = make_cache(server.port), Maker()
        server.kill()

        with ThreadPoolExecutor(4) as pool:
            flights = [pool.submit(fly, cache, make) for _ in range(4)]
            wait_until(lambda: make.calls > 0, what="one of them makes it")
            wait_until(lambda: pool._work_queue.empty(), what="all have started")
            make.go.set()
            pictures = [flight.result(10) for flight in flights]

        assert make.calls == 1
        assert pictures == [CachedPicture('"e"', PICTURE)] * 4
        cache.close()


# A Redis that is away.


def test_redis_away_is_a_miss_and_writes_say_so(tmp_path: Path) -> None:
    with redis_server(tmp_path) as server:
        cache = make_cache(server.port)
        assert cache.check()
        server.kill()

        assert not cache.check()
        assert cache.record(7) is None
        assert cache.record_by_name("demo", "x") is None
        assert cache.picture(SHA, FIELD) is None
        assert cache.failure(SHA, FIELD) is None
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


def test_changed_settings_make_spellings_be_learnt_anew(cache: Cache, raw: redis.Redis) -> None:
    assert cache.agree_on("old")
    cache.teach("preset=thumb", "width=300@old", None, "old")

    assert cache.agree_on("old")
    kept = raw.hexists("spellings", "preset=thumb")
    assert cache.agree_on("new")

    assert kept == 1
    assert raw.hexists("spellings", "preset=thumb") == 0


def test_what_is_taught_before_any_process_agreed_is_kept_when_others_agree(
    cache: Cache, raw: redis.Redis
) -> None:
    cache.teach("w=300", FIELD, None, RECIPE)

    assert cache.agree_on(RECIPE)

    assert raw.hget("spellings", "w=300") == f"{FIELD}\n".encode()


def test_a_process_with_older_settings_teaches_nothing(cache: Cache, raw: redis.Redis) -> None:
    assert cache.agree_on("old")
    assert cache.agree_on("new")

    cache.teach("preset=thumb", "width=300@old", None, "old")

    assert raw.hexists("spellings", "preset=thumb") == 0


def test_teaching_keeps_the_recipe_alive(cache: Cache, raw: redis.Redis) -> None:
    assert cache.agree_on(RECIPE)
    raw.expire("recipe", 5)

    cache.teach("w=300", FIELD, None, RECIPE)

    assert raw.ttl("recipe") > 5
