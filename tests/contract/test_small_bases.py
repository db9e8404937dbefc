"""Small base pictures: the check of an upload leaves what thumbnails are made from, the first one too."""

import contextlib
import io
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
from PIL import Image

from imagestore.bases import small_base
from imagestore.records import Facts
from imagestore.rendition import Rendition
from imagestore.service import ImageStore
from imagestore.settings import Settings
from tests import pictures
from tests.attack.mutations import PHOTOS
from tests.contract.basing import decodes, likeness, put, read, upload
from tests.pictures import BLUE, RED, Sample, near
from tests.servers import Server, free_port
from tests.unit.test_engine_colours import swapped_profile

PHOTO = pictures.encode(pictures.texture(1600, 1200), "jpeg")

QUERIES = [
    *(f"width={width}" for width in (100, 200, 300, 400)),
    "width=301&height=299&fit=cover&gravity=north",
    "crop=332,334,1000,778&width=300",
    "rotate=90&height=250&flip=h",
    "width=200&height=200&fit=pad&background=ff0000",
    "width=300&format=webp",
]


@contextlib.contextmanager
def a_store(folder: Path, port: int, **env: str) -> Iterator[ImageStore]:
    env = {"DATA_DIR": str(folder), "REDIS_URL": f"redis://127.0.0.1:{port}/0", **env}
    with contextlib.closing(ImageStore.open(Settings.from_env(env))) as opened:
        opened.prepare()
        yield opened


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, server: Server) -> Iterator[ImageStore]:
    with a_store(tmp_path_factory.mktemp("store"), server.port) as opened:
        yield opened


@pytest.fixture(scope="module")
def plain_store(tmp_path_factory: pytest.TempPathFactory, server: Server) -> Iterator[ImageStore]:
    """Which makes all from originals."""
    with a_store(tmp_path_factory.mktemp("plain"), server.port, BASE_MIN_PIXELS="0") as opened:
        yield opened


def small(raw: redis.Redis) -> list[bytes]:
    return list(raw.keys("small:*"))


@pytest.mark.parametrize("format", ["jpeg", "webp"])
def test_first_thumbnail_decodes_no_original(
    store: ImageStore, raw: redis.Redis, tmp_path: Path, format: str
) -> None:
    record = put(store, pictures.encode(pictures.texture(1600, 1200), format).data, tmp_path)
    (key,) = small(raw)
    before = decodes(format), decodes("base")

    thumbnails = [Image.open(io.BytesIO(read(store, record, f"width={width}"))) for width in (300, 400)]
    larger = read(store, record, "width=700")

    assert (decodes(format) - before[0], decodes("base") - before[1]) == (1, 2)
    assert [image.size for image in thumbnails] == [(300, 225), (400, 300)]
    assert {image.format for image in thumbnails} == {format.upper()}
    assert Image.open(io.BytesIO(larger)).size == (700, 525)
    assert 0 < raw.ttl(key) <= store.settings.cache_ttl_s


@pytest.mark.parametrize("orientation", range(1, 9))
def test_thumbnail_looks_as_from_the_original(
    store: ImageStore, plain_store: ImageStore, raw: redis.Redis, tmp_path: Path, orientation: int
) -> None:
    sample = pictures.oriented(pictures.texture(1600, 1200, seed=orientation), orientation)
    record, direct = put(store, sample.data, tmp_path), put(plain_store, sample.data, tmp_path)
    expected = [read(plain_store, direct, query) for query in QUERIES]
    raw.delete(f"picture:{record.sha256}")
    before = decodes("base")

    seen = [read(store, record, query) for query in QUERIES]

    assert decodes("base") - before == len(QUERIES)
    for query, one, other in zip(QUERIES, expected, seen, strict=True):
        assert Image.open(io.BytesIO(one)).size == Image.open(io.BytesIO(other)).size, query
        # WebP makes more of a small difference.
        assert likeness(one, other) >= (0.9 if "webp" in query else 0.98), query


@pytest.mark.skipif(not PHOTOS.is_dir(), reason="photos of others are not at hand")
@pytest.mark.parametrize("name", ["j01.jpg", "j04.jpg", "j06.jpg", "j16.jpg", "w10.webp"])
def test_thumbnail_of_a_photo_looks_as_from_the_original(
    store: ImageStore, plain_store: ImageStore, raw: redis.Redis, tmp_path: Path, name: str
) -> None:
    data = (PHOTOS / "real" / name).read_bytes()
    record, direct = put(store, data, tmp_path), put(plain_store, data, tmp_path)
    queries = [f"width={width}&format=jpeg" for width in (100, 200, 300, 400)]
    expected = [read(plain_store, direct, query) for query in queries]
    raw.delete(f"picture:{record.sha256}")

    seen = [read(store, record, query) for query in queries]

    for query, one, other in zip(queries, expected, seen, strict=True):
        assert likeness(one, other) >= 0.98, query


SIDES = (1200, 900)
COLOURS = {
    "wide gamut": (pictures.plain((255, 0, 0), *SIDES), {"icc_profile": swapped_profile()}, (0, 255, 0)),
    "cmyk": (Image.new("CMYK", SIDES, (0, 255, 255, 0)), {}, (255, 0, 0)),
    "grey": (Image.new("L", SIDES, 90), {}, (90, 90, 90)),
    "broken profile": (pictures.plain(BLUE, *SIDES), {"icc_profile": b"no profile" * 20}, BLUE),
}


@pytest.mark.parametrize("kind", COLOURS)
def test_thumbnail_has_the_colours_of_the_original(
    store: ImageStore, raw: redis.Redis, tmp_path: Path, kind: str
) -> None:
    image, options, expected = COLOURS[kind]
    record = put(store, pictures.encode(image, "jpeg", **options).data, tmp_path)
    before = decodes("base")

    thumbnail = Image.open(io.BytesIO(read(store, record, "width=60")))

    assert decodes("base") - before == 1
    assert near(thumbnail.convert("RGB"), (30, 20), expected)
    assert thumbnail.mode == ("L" if kind == "grey" else "RGB")


NO_BASE: dict[str, Callable[[], Sample]] = {
    "png": lambda: pictures.encode(pictures.texture(1200, 900), "png"),
    "alpha": lambda: pictures.encode(pictures.plain((*RED, 100), 1200, 900), "webp"),
    "animation": lambda: pictures.animation("webp", [RED, BLUE], size=(1200, 900)),
    "small": lambda: pictures.encode(pictures.texture(1091, 900), "jpeg"),
}


@pytest.mark.parametrize("kind", NO_BASE)
def test_others_leave_none(store: ImageStore, raw: redis.Redis, tmp_path: Path, kind: str) -> None:
    record = put(store, NO_BASE[kind]().data, tmp_path)

    body = read(store, record, "width=60&format=jpeg")

    assert small(raw) == []
    assert Image.open(io.BytesIO(body)).size[0] == 60


def test_cut_picture_of_a_download_leaves_none(store: ImageStore, raw: redis.Redis, tmp_path: Path) -> None:
    path = PHOTO.cut(0.6).put(tmp_path)

    with path.open("rb") as stream, store.spool.receive(stream, max_bytes=10**8) as spooled:
        record = store.writes.upload(spooled, "d", None, None, truncated_too=True).record

    assert record.image_metadata["truncated"]
    assert small(raw) == []


@pytest.mark.parametrize("setting", ["BASE_MIN_PIXELS", "SMALL_BASES_MAX"])
def test_setting_of_0_leaves_none(server: Server, raw: redis.Redis, tmp_path: Path, setting: str) -> None:
    with a_store(tmp_path, server.port, **{setting: "0"}) as store:
        record = put(store, PHOTO.data, tmp_path)
        before = decodes("jpeg")

        read(store, record, "width=60")

        assert small(raw) == []
        assert decodes("jpeg") - before == 1


def test_only_those_of_the_last_uploads_are_kept(server: Server, raw: redis.Redis, tmp_path: Path) -> None:
    with a_store(tmp_path, server.port, SMALL_BASES_MAX="2") as store:
        samples = [pictures.encode(pictures.plain((n, 0, 0), 1200, 900), "jpeg") for n in (0, 80, 160, 240)]
        records = [put(store, sample.data, tmp_path) for sample in samples]
        kept = set(small(raw))
        before = decodes("base"), decodes("jpeg")

        seen = [Image.open(io.BytesIO(read(store, record, "width=60"))) for record in records]

        assert kept == {f"small:{record.sha256}".encode() for record in records[2:]}
        assert (decodes("base") - before[0], decodes("jpeg") - before[1]) == (2, 2)
        assert all(near(image, (30, 20), (80 * n, 0, 0)) for n, image in enumerate(seen))
        assert 0 < raw.ttl("smalls") <= store.settings.cache_ttl_s


def test_base_of_another_version_is_not_used(store: ImageStore, raw: redis.Redis, tmp_path: Path) -> None:
    record = put(store, PHOTO.data, tmp_path)
    raw.set(f"small:{record.sha256}", b'image/jpeg\n"of another version"\nno picture')

    body = read(store, record, "width=70")

    assert Image.open(io.BytesIO(body)).size == (70, 53)


def test_replaced_picture_is_shown_and_a_purged_one_leaves_nothing(
    store: ImageStore, raw: redis.Redis, tmp_path: Path
) -> None:
    red, blue = (pictures.encode(pictures.plain(colour, 1200, 900), "jpeg").data for colour in (RED, BLUE))
    first = upload(store, red, tmp_path, "picture").record
    read(store, first, "width=60")

    second = upload(store, blue, tmp_path, "picture").record
    thumbnail = Image.open(io.BytesIO(read(store, store.reads.by_id(first.id), "width=60")))
    left = small(raw)
    store.writes.delete(second.id, purge=True)

    assert near(thumbnail, (30, 20), BLUE)
    assert left == [f"small:{second.sha256}".encode()]  # The replaced bytes are nobody's any more.
    assert small(raw) == []


def test_upload_needs_no_redis(tmp_path: Path) -> None:
    with a_store(tmp_path, free_port()) as store:
        record = put(store, PHOTO.data, tmp_path)

        assert Image.open(io.BytesIO(read(store, record, "width=60"))).size == (60, 45)


@pytest.mark.parametrize(
    ("facts", "file"),
    [
        (Facts("jpeg", 1091, 900), None),
        (Facts("jpeg", 1092, 900), (546, 450)),
        (Facts("jpeg", 900, 1201, orientation=6), (450, 600)),
        (Facts("jpeg", 4000, 3000), (1000, 750)),
        (Facts("jpeg", 4368, 3000), (546, 375)),
        (Facts("jpeg", 4368, 3000, truncated=True), None),
        (Facts("webp", 4368, 3000), (546, 375)),
        (Facts("webp", 4368, 3000, frames=2), None),
        (Facts("webp", 4368, 3000, alpha=True), None),
        (Facts("png", 4368, 3000), None),
    ],
)
def test_base_has_enough_pixels_for_a_thumbnail(facts: Facts, file: tuple[int, int] | None) -> None:
    base = small_base(facts)

    assert (base and base.facts.file) == file
    if base:
        assert base.serves(Rendition(width=400, height=400))
        assert not base.serves(Rendition(width=800))
