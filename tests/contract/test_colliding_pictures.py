"""Two pictures with one md5: both are kept, and both are served rightly.

The pair is real: two BMPs that differ in six bytes of their pixels. Behind a prefix of whole blocks of 64
bytes an MD5 collision of two blocks takes seconds to find (M. Stevens, Fast Collision Attack on MD5, 2006);
these were found for this prefix in 2026, and whatever follows them keeps the sums equal.
"""

import hashlib
import io
import struct
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from imagestore.records import ImageRecord
from imagestore.rendition import Rendition
from imagestore.service import ImageStore
from imagestore.settings import Settings
from tests.servers import redis_server

WIDTH, HEIGHT = 16, 4

PREFIX = (
    struct.pack("<2sIHHI", b"BM", 54 + 3 * WIDTH * HEIGHT, 0, 0, 54)
    + struct.pack("<IiiHHIIiiII", 40, WIDTH, HEIGHT, 1, 24, 0, 3 * WIDTH * HEIGHT, 2835, 2835, 0, 0)
    + bytes(range(100, 110))
)
"""The headers of a BMP and its first pixels: one block."""

BLOCKS = bytes.fromhex(
    "b8ccaee36dce3d872277d5251032484c0bab0a3ed2915a7f32be44a5eabb2f0b"
    "8bf5cfbe4cce3ff067c0e01bdc15cab32587a5964b5d7519368d6da2018aa27c"
    "64b12181fc4781cb0a22ede2599d483d8a779948fe2db34e1c69e8a6cedbe98e"
    "156036ae86804966ca3f11aa99d09efdd080af6996d4335285e0585ed9b08ef6"
)
DIFFERING_BYTES = (19, 45, 59, 83, 109, 123)
"""Of the blocks; in each the highest bit."""

OTHER_BLOCKS = bytes(byte ^ (0x80 if at in DIFFERING_BYTES else 0) for at, byte in enumerate(BLOCKS))
REST = bytes(range(54))
FIRST, SECOND = (PREFIX + blocks + REST for blocks in (BLOCKS, OTHER_BLOCKS))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ImageStore]:
    with redis_server(tmp_path / "redis") as redis:
        settings = Settings.from_env(
            {
                "DATA_DIR": str(tmp_path / "data"),
                "API_KEY": "k" * 20,
                "REDIS_URL": f"redis://127.0.0.1:{redis.port}/0",
            }
        )
        with closing(ImageStore.open(settings)) as store:
            store.prepare()
            yield store


def test_the_pair_is_real() -> None:
    assert FIRST != SECOND
    assert hashlib.md5(FIRST).digest() == hashlib.md5(SECOND).digest()
    assert not np.array_equal(pixels(FIRST), pixels(SECOND))


def test_colliding_pictures_are_two_pictures(store: ImageStore) -> None:
    one = upload(store, FIRST, "one")
    other = upload(store, SECOND, "other")

    assert one.md5sum == other.md5sum
    assert one.sha256 != other.sha256
    for _ in range(2):
        assert [content(store, store.reads.by_id(each.id)) for each in (one, other)] == [FIRST, SECOND]
        assert content(store, store.reads.by_name("demo", "other")) == SECOND
        assert store.reads.by_sum(one.md5sum).id == one.id
        assert store.reads.by_sum(other.sha256).id == other.id
        assert store.reads.by_sum(one.sha256).id == one.id


def test_the_sum_of_a_removed_picture_is_the_others(store: ImageStore) -> None:
    one = upload(store, FIRST, "one")
    other = upload(store, SECOND, "other")

    store.writes.delete(one.id)

    found = store.reads.by_sum(one.md5sum)
    assert (found.id, content(store, found)) == (other.id, SECOND)


def test_a_colliding_picture_in_the_place_of_another_is_a_change(store: ImageStore) -> None:
    one = upload(store, FIRST, "one")

    changed = upload(store, SECOND, "one")

    assert (changed.id, changed.rev, changed.sha256 != one.sha256) == (one.id, one.rev + 1, True)
    assert content(store, store.reads.by_sum(one.md5sum)) == SECOND


def test_pictures_made_of_colliding_ones_are_each_its_own(store: ImageStore) -> None:
    wish = Rendition(format="png")

    for body, dkey in ((FIRST, "one"), (SECOND, "other")):
        wanted = store.reads.wanted(upload(store, body, dkey), wish)
        made = store.reads.picture(wanted).picture.body

        assert np.array_equal(pixels(made), pixels(body))


def upload(store: ImageStore, body: bytes, dkey: str) -> ImageRecord:
    with store.spool.receive(io.BytesIO(body), max_bytes=len(body)) as spooled:
        return store.writes.upload(spooled, "demo", dkey, None, overwrite=True).record


def content(store: ImageStore, record: ImageRecord) -> bytes:
    with store.reads.read(record) as stream:
        return stream.read()


def pixels(body: bytes) -> "np.ndarray[Any, Any]":
    with Image.open(io.BytesIO(body)) as picture:
        return np.asarray(picture.convert("RGB"))
