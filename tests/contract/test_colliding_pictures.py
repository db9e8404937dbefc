"""Two pictures with one md5: both are kept, and both are served rightly.

Real pairs exist (JPEG, PNG), but none can be made in a test: the second's md5 is forged where the
bytes are received, so that all that follows believes it.
"""

import io
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from imagestore.records import ImageRecord
from imagestore.service import ImageStore
from imagestore.settings import Settings
from tests.pictures import photo
from tests.servers import redis_server

FIRST, SECOND = photo(40, 30, seed=1), photo(40, 30, seed=2)


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


def test_colliding_pictures_are_two_pictures(store: ImageStore) -> None:
    one = upload(store, FIRST, "one")
    other = upload(store, SECOND, "other", md5sum=one.md5sum)

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
    other = upload(store, SECOND, "other", md5sum=one.md5sum)

    store.writes.delete(one.id)

    found = store.reads.by_sum(one.md5sum)
    assert (found.id, content(store, found)) == (other.id, SECOND)


def test_a_colliding_picture_in_the_place_of_another_is_a_change(store: ImageStore) -> None:
    one = upload(store, FIRST, "one")

    changed = upload(store, SECOND, "one", md5sum=one.md5sum)

    assert (changed.id, changed.rev, changed.sha256 != one.sha256) == (one.id, one.rev + 1, True)
    assert content(store, store.reads.by_sum(one.md5sum)) == SECOND


def upload(store: ImageStore, body: bytes, dkey: str, *, md5sum: str | None = None) -> ImageRecord:
    with store.spool.receive(io.BytesIO(body), max_bytes=len(body)) as spooled:
        if md5sum:
            spooled = replace(spooled, content=replace(spooled.content, md5sum=md5sum))
        return store.writes.upload(spooled, "demo", dkey, None, overwrite=True).record


def content(store: ImageStore, record: ImageRecord) -> bytes:
    with store.reads.read(record) as stream:
        return stream.read()
