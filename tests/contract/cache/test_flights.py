"""One caller makes a picture for all, against a real Redis."""

import contextlib
import multiprocessing
import os
import signal
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import redis

from imagestore.cache import Cache, CachedPicture
from imagestore.errors import ImageInvalid, ImagestoreError, Overloaded
from imagestore.picturecache import MAX_PICTURE_BYTES
from imagestore.records import Picture
from tests.contract.cache.samples import FIELD, PICTURE, SHA, Maker, make_cache
from tests.servers import Server, redis_server, wait_until


def fly(cache: Cache, make: Maker) -> CachedPicture:
    return cache.single_flight(SHA, FIELD, '"e"', make)


def count_round_trips(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What clients of this process send to Redis from now on; each is an element, however many commands."""
    sent: list[object] = []
    send = redis.Connection.send_packed_command

    def count(connection: redis.Connection, command: object, *more: object, **options: object) -> object:
        sent.append(command)
        return send(connection, command, *more, **options)

    monkeypatch.setattr(redis.Connection, "send_packed_command", count)
    return sent


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


@pytest.mark.parametrize("fate", ["kept", "too large to keep", "failed"])
def test_lock_is_free_after_the_flight(cache: Cache, raw: redis.Redis, fate: str) -> None:
    def make() -> Picture:
        assert raw.keys("lock:*") == [f"lock:{SHA}:{FIELD}".encode()]
        if fate == "failed":
            raise Overloaded("full")
        return PICTURE if fate == "kept" else Picture("image/webp", bytes(MAX_PICTURE_BYTES + 1))

    with pytest.raises(Overloaded) if fate == "failed" else contextlib.nullcontext():
        cache.single_flight(SHA, FIELD, '"e"', make)

    assert raw.keys("lock:*") == []


def test_lock_that_somebody_else_has_taken_meanwhile_is_left_to_them(cache: Cache, raw: redis.Redis) -> None:
    lock = f"lock:{SHA}:{FIELD}"

    def make() -> Picture:
        raw.set(lock, "another")
        return PICTURE

    cache.single_flight(SHA, FIELD, '"e"', make)

    assert raw.get(lock) == b"another"
    assert cache.picture(SHA, FIELD) == CachedPicture('"e"', PICTURE)


def test_flight_costs_two_round_trips(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    make = Maker()
    make.go.set()
    cache.single_flight(SHA, "width=20@abc123", '"e"', make)  # Redis knows the scripts now.
    trips = count_round_trips(monkeypatch)

    fly(cache, make)

    assert make.calls == 2
    assert len(trips) == 2


def test_lease_outlives_its_life_while_the_maker_works(cache: Cache, raw: redis.Redis) -> None:
    make, lock = Maker(), f"lock:{SHA}:{FIELD}"

    with ThreadPoolExecutor(1) as pool:
        flight = pool.submit(fly, cache, make)
        wait_until(lambda: 0 < raw.pttl(lock) < 2200, what="some of the life is gone")
        wait_until(lambda: raw.pttl(lock) > 2800, what="the heartbeat renews it")
        make.go.set()
        flight.result(10)


def test_leases_of_several_pictures_live_together_and_end_with_each(cache: Cache, raw: redis.Redis) -> None:
    fields = ["width=1@a", "width=2@a", "width=3@a", "width=4@a"]
    locks = [f"lock:{SHA}:{field}" for field in fields]
    raw.set(locks[0], "another", px=60_000)
    cache.keep(SHA, fields[1], '"e"', PICTURE)

    def make(missing: Sequence[str]) -> list[Picture | ImagestoreError]:
        assert list(missing) == fields[2:]
        assert {lock: raw.exists(lock) for lock in locks} == dict(zip(locks, (1, 0, 1, 1), strict=True))
        wait_until(lambda: all(0 < raw.pttl(lock) < 2200 for lock in locks[2:]), what="life is gone")
        wait_until(lambda: all(raw.pttl(lock) > 2800 for lock in locks[2:]), what="both are renewed")
        raw.set(locks[3], "another")
        return [PICTURE, ImageInvalid("cut short")]

    seen_to = cache.keep_missing(SHA, dict.fromkeys(fields, '"e"'), make)

    assert {field: type(error) for field, error in seen_to.items()} == {
        fields[1]: type(None),
        fields[2]: type(None),
        fields[3]: ImageInvalid,
    }
    assert sorted(raw.keys("lock:*")) == [locks[0].encode(), locks[3].encode()]


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
    # The lease's 3 s, and the rest for a busy machine; who waits for a maker that lives waits 12 s.
    assert time.monotonic() - began < 8


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
