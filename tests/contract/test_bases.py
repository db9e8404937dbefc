"""Large base pictures: further sizes of a large original are made from a smaller copy in the cache."""

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from PIL import Image

from imagestore.bases import large_base, settled
from imagestore.records import Facts
from imagestore.rendition import Rendition
from imagestore.service import ImageStore
from imagestore.settings import Encoding, Settings
from tests import pictures
from tests.contract.basing import decodes, likeness, put, read
from tests.servers import Server

LARGE = Facts("jpeg", 3000, 2000)
PHOTO = pictures.encode(pictures.texture(3000, 2000), "jpeg")


@pytest.fixture(scope="module", params=["auto", "wand"])
def store(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, server: Server
) -> Iterator[ImageStore]:
    folder = tmp_path_factory.mktemp("store")
    url = f"redis://127.0.0.1:{server.port}/0"
    env = {
        "DATA_DIR": str(folder),
        "REDIS_URL": url,
        "IMAGE_ENGINE": request.param,
        "BASE_MIN_PIXELS": "6000000",
        "SMALL_BASES_MAX": "0",
    }
    opened = ImageStore.open(Settings.from_env(env))
    opened.prepare()
    yield opened
    opened.close()


def test_third_size_is_made_from_the_base_and_no_decode_more_than_pictures(
    store: ImageStore, raw: redis.Redis, tmp_path: Path
) -> None:
    record = put(store, PHOTO.data, tmp_path)
    before = decodes("jpeg"), decodes("base")

    read(store, record, "width=400")
    after_first = raw.exists(f"base:{record.sha256}")
    read(store, record, "width=500")
    read(store, record, "width=300")
    read(store, record, "width=800&format=webp")

    assert after_first == 0
    assert (decodes("jpeg") - before[0], decodes("base") - before[1]) == (2, 2)
    assert raw.strlen(f"base:{record.sha256}") < 2 * 1024 * 1024
    assert 0 < raw.ttl(f"base:{record.sha256}") <= store.settings.cache_ttl_s
    assert raw.hlen(f"picture:{record.sha256}") == 4


@pytest.mark.parametrize("orientation", [1, 6])
def test_picture_from_the_base_looks_as_from_the_original(
    store: ImageStore, raw: redis.Redis, tmp_path: Path, orientation: int
) -> None:
    sample = pictures.oriented(pictures.texture(3000, 2000, seed=orientation), orientation)
    record = put(store, sample.data, tmp_path)
    queries = [
        "width=300",
        "width=1201",
        "width=301&height=299&fit=cover&gravity=north",
        "crop=1499,333,1000,777&width=333",
        "rotate=90&width=250&flip=h",
        "width=200&height=200&fit=pad&background=ff0000",
        "width=300&format=webp",
    ]
    direct = []
    for query in queries:
        direct.append(read(store, record, query))
        raw.flushall()
    read(store, record, "width=100")
    read(store, record, "width=101")
    before = decodes("base")

    again = [read(store, record, query) for query in queries]

    assert decodes("base") - before == len(queries)
    for query, one, other in zip(queries, direct, again, strict=True):
        assert Image.open(io.BytesIO(one)).size == Image.open(io.BytesIO(other)).size, query
        # WebP makes more of a small difference.
        assert likeness(one, other) >= (0.9 if "webp" in query else 0.98), query


def test_base_goes_with_the_pictures(store: ImageStore, raw: redis.Redis, tmp_path: Path) -> None:
    record = put(store, PHOTO.data, tmp_path)
    read(store, record, "width=90")
    read(store, record, "width=91")

    store.writes.delete(record.id)

    assert not raw.exists(f"base:{record.sha256}", f"picture:{record.sha256}")


def test_base_of_other_settings_is_not_used(store: ImageStore, raw: redis.Redis, tmp_path: Path) -> None:
    record = put(store, PHOTO.data, tmp_path)
    raw.set(f"base:{record.sha256}", b'image/jpeg\n"of another recipe"\nno picture')

    body = read(store, record, "width=70")

    assert Image.open(io.BytesIO(body)).size == (70, 47)


def test_original_that_gives_no_base_is_not_asked_again(
    store: ImageStore, raw: redis.Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("imagestore.picturecache.MAX_BASE_BYTES", 1000)
    record = put(store, PHOTO.data, tmp_path)
    for width in (60, 61):
        read(store, record, f"width={width}")
    before = raw.get(f"base:{record.sha256}")

    body = read(store, record, "width=62")

    assert Image.open(io.BytesIO(body)).size == (62, 41)
    assert before is not None
    assert before.endswith(b"\n")
    assert raw.get(f"base:{record.sha256}") == before


@pytest.mark.parametrize(
    ("facts", "query", "expected"),
    [
        (LARGE, "width=300", True),
        (LARGE, "width=1338", True),  # 1160 is 1.3 times its height
        (LARGE, "width=1339", False),
        (Facts("jpeg", 2000, 3000), "width=1341", True),  # 1744 is 1.3 times that
        (Facts("jpeg", 2000, 3000), "width=1342", False),
        (Facts("jpeg", 2000, 3000, orientation=6), "width=1341", True),
        (LARGE, "crop=0,0,300,200", False),
        (LARGE, "crop=9999,0,300,200&width=10", False),
        (LARGE, "crop=0,0,1500,1000&width=669", True),
        (LARGE, "crop=0,0,1500,1000&width=670", False),
        (LARGE, "width=300&format=png", False),
        (LARGE, "width=300&quality=89", True),
        (LARGE, "width=300&quality=90", False),
        (LARGE, "width=300&height=300&fit=cover", True),
        (LARGE, "width=300&height=300&fit=cover&gravity=smart", False),
        (LARGE, "grayscale=1", False),
        (Facts("jpeg", 2900, 2000), "width=300", False),
        (Facts("png", 3000, 2000), "width=300", False),
        (Facts("png", 3000, 2000), "width=300&format=jpeg", True),
        (Facts("png", 3000, 2000, alpha=True), "width=300&format=jpeg", False),
        (Facts("webp", 3000, 2000, frames=2), "width=300&format=jpeg", False),
        (Facts("jpeg", 3000, 2000, truncated=True), "width=300", False),
    ],
)
def test_base_is_used_only_where_the_result_is_right(facts: Facts, query: str, expected: bool) -> None:
    base = large_base(facts, min_pixels=6_000_000)
    rendition = settled(facts, Rendition.parse(query), Encoding())

    assert bool(base and rendition and base.serves(rendition)) is expected


def test_setting_of_0_makes_none() -> None:
    assert large_base(LARGE, min_pixels=0) is None


def test_picture_from_the_base_has_the_format_of_the_original(
    store: ImageStore, raw: redis.Redis, tmp_path: Path
) -> None:
    record = put(store, pictures.encode(pictures.texture(3000, 2000), "webp").data, tmp_path)
    read(store, record, "width=80")
    read(store, record, "width=81")
    before = decodes("base")

    body = read(store, record, "width=82")

    assert decodes("base") - before == 1
    assert Image.open(io.BytesIO(body)).format == "WEBP"


@pytest.mark.parametrize("size", [(3001, 2003), (2003, 3001), (9000, 1000), (1000, 9000), (20_000, 5)])
def test_base_can_be_loaded_at_an_eighth_to_its_edge(size: tuple[int, int]) -> None:
    facts = Facts("jpeg", *size)

    large = large_base(facts, min_pixels=1)
    base = large and large.facts.file

    assert base is not None
    assert [side % 8 for side in base if side >= 8] == [0] * sum(side >= 8 for side in base)
    assert base[0] / base[1] == pytest.approx(size[0] / size[1], rel=0.02) or min(base) < 8
