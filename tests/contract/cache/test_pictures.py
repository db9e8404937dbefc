"""The cache of pictures against a real Redis: what is kept, for how long, and how much of it."""

from pathlib import Path

import pytest
import redis

from imagestore.cache import Cache, CachedPicture
from imagestore.errors import (
    ImageInvalid,
    ImagestoreError,
    ImageTooComplex,
    InvalidParameter,
    Overloaded,
    ProcessingTimeout,
    StorageUnavailable,
)
from imagestore.records import Picture
from tests.contract.cache.samples import FIELD, PICTURE, RECIPE, SHA, Maker, make_cache
from tests.servers import Server, redis_server


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
    make = Maker()
    cache.remember_failure(SHA, FIELD, error)

    with pytest.raises(type(error)) as found:
        cache.single_flight(SHA, FIELD, '"e"', make)

    assert make.calls == 0
    assert found.type is type(error)
    assert vars(found.value) == vars(error)
    assert 0 < raw.ttl(f"failure:{SHA}:{FIELD}") <= 10


@pytest.mark.parametrize("error", [Overloaded("full"), StorageUnavailable("away")])
def test_passing_trouble_is_not_remembered(cache: Cache, error: ImagestoreError) -> None:
    make = Maker()
    make.go.set()
    cache.remember_failure(SHA, FIELD, error)

    assert cache.single_flight(SHA, FIELD, '"e"', make) == CachedPicture('"e"', PICTURE)
