"""Two stores as one while originals move: the new one is written, both are read."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from imagestore.errors import OriginalMissing
from imagestore.records import LocalFile
from imagestore.settings import Settings
from imagestore.storage import Storage, open_storage, open_storages
from tests.originals import CONTENT, SHA256, STORED_AT, content_of, spooled

OTHER = b"other" * 100
OTHER_SHA256 = hashlib.sha256(OTHER).hexdigest()


@pytest.fixture
def old(tmp_path: Path) -> Iterator[Storage]:
    storage = open_storage(f"{tmp_path}/old", spool_dir=tmp_path / "spool")
    storage.put(SHA256, spooled(tmp_path, CONTENT))
    yield storage
    storage.close()


def named(folder: Path, *, fallback: str) -> Settings:
    """Settings of a new store, and of one that was there before."""
    stores = {"STORAGE_URL": f"{folder}/new", "STORAGE_FALLBACK_URL": fallback}
    return Settings.from_env({"DATA_DIR": str(folder), **stores})


@pytest.fixture
def both(tmp_path: Path, old: Storage) -> Iterator[Storage]:
    storage = open_storages(named(tmp_path, fallback=f"{tmp_path}/old"))
    yield storage
    storage.close()


def test_original_of_the_old_store_is_read_and_not_sent_by_nginx(both: Storage) -> None:
    assert content_of(both, SHA256) == CONTENT
    assert both.size(SHA256) == len(CONTENT)
    assert both.locate(SHA256, len(CONTENT)) is None
    with both.fetch(SHA256) as path:
        assert path.read_bytes() == CONTENT


def test_new_original_goes_to_the_new_store(both: Storage, old: Storage, tmp_path: Path) -> None:
    both.put(OTHER_SHA256, spooled(tmp_path, OTHER))
    both.put(SHA256, spooled(tmp_path, CONTENT))

    assert both.locate(SHA256, len(CONTENT)) == LocalFile(STORED_AT)
    with pytest.raises(OriginalMissing):
        old.stat(OTHER_SHA256)
    assert [found.sha256 for found in both.walk()] == sorted([SHA256, OTHER_SHA256])


def test_what_no_row_needs_goes_from_both(both: Storage, old: Storage, tmp_path: Path) -> None:
    both.put(SHA256, spooled(tmp_path, CONTENT))

    both.shelve(SHA256, ".trash")

    with pytest.raises(OriginalMissing):
        both.stat(SHA256)
    both.unshelve(SHA256, ".trash")
    assert content_of(both, SHA256) == content_of(old, SHA256) == CONTENT


def test_damaged_original_in_the_new_store_gives_way_to_the_old_one(both: Storage, tmp_path: Path) -> None:
    both.put(SHA256, spooled(tmp_path, CONTENT[:-1] + b"?"))

    both.shelve(SHA256, ".quarantine")

    assert content_of(both, SHA256) == CONTENT


def test_what_both_lack_is_missing(both: Storage) -> None:
    for ask in (both.stat, both.read, lambda sha256: both.shelve(sha256, ".trash")):
        with pytest.raises(OriginalMissing):
            ask(OTHER_SHA256)
    with pytest.raises(OriginalMissing):
        both.locate(OTHER_SHA256, 1)


def test_fault_in_the_fallback_url_names_its_variable(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="STORAGE_FALLBACK_URL: expected an absolute path"):
        open_storages(named(tmp_path, fallback="relative"))
