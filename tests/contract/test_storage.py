"""One contract for every kind of store, and how STORAGE_URL names them."""

import hashlib
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from imagestore.errors import OriginalDamaged, OriginalMissing, StorageUnavailable
from imagestore.records import RemoteObject
from imagestore.storage import Storage, open_storage
from tests.originals import (
    BUCKET,
    CONTENT,
    SHA256,
    STORED_AT,
    bucket_storage,
    content_of,
    folder_storage,
    spooled,
)
from tests.servers import Server, wait_until
from tests.swift import make_bucket, s3_server

UNREADABLE = Path("/proc/self/mem")
"""Opens, and fails with EIO at the first read (proc(5): nothing is mapped at address 0)."""


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with s3_server(tmp_path_factory.mktemp("swift")) as server:
        make_bucket(server, BUCKET)
        yield server


@pytest.fixture(params=["folder", "bucket", "mem://", "temp://"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Storage]:
    if request.param == "folder":
        storage = folder_storage(tmp_path)
    elif request.param == "bucket":
        storage = bucket_storage(request.getfixturevalue("s3"), tmp_path)
    else:
        storage = open_storage(request.param, spool_dir=tmp_path / "spool")
    yield storage
    storage.close()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return spooled(tmp_path, CONTENT)


def test_read_gives_the_bytes_that_were_put(storage: Storage, source: Path) -> None:
    storage.put(SHA256, source)
    source.unlink()

    assert content_of(storage, SHA256) == CONTENT


def test_read_gives_exactly_as_many_bytes_as_asked_for(storage: Storage, source: Path) -> None:
    storage.put(SHA256, source)

    with storage.read(SHA256) as original:
        first, rest = original.read(1000), original.read()

    assert (first, rest) == (CONTENT[:1000], CONTENT[1000:])


def test_fetch_gives_a_file_that_leaves_no_copy_behind(
    storage: Storage, source: Path, tmp_path: Path
) -> None:
    storage.put(SHA256, source)
    source.unlink()

    with storage.fetch(SHA256) as path:
        seen = path.read_bytes()

    assert seen == CONTENT
    assert list((tmp_path / "spool").iterdir()) == []


def test_fetch_removes_its_copy_when_the_block_fails(storage: Storage, source: Path, tmp_path: Path) -> None:
    storage.put(SHA256, source)

    with pytest.raises(KeyError), storage.fetch(SHA256):
        raise KeyError

    assert list((tmp_path / "spool").iterdir()) == []
    assert content_of(storage, SHA256) == CONTENT


def test_stat_tells_length_and_time_of_the_put(storage: Storage, source: Path) -> None:
    before = datetime.now(UTC) - timedelta(seconds=1)  # S3 counts whole seconds

    storage.put(SHA256, source)

    found = storage.stat(SHA256)
    assert (found.sha256, found.size, storage.size(SHA256)) == (SHA256, len(CONTENT), len(CONTENT))
    assert before <= found.modified <= datetime.now(UTC) + timedelta(seconds=1)


def test_second_put_is_fine_and_makes_the_original_young(storage: Storage, source: Path) -> None:
    storage.put(SHA256, source)
    first = storage.stat(SHA256).modified

    def younger() -> bool:
        storage.put(SHA256, source)
        return storage.stat(SHA256).modified > first

    wait_until(younger, what="a younger original", timeout_s=5)
    assert content_of(storage, SHA256) == CONTENT


def test_put_replaces_a_stored_file_of_another_length(storage: Storage, source: Path, tmp_path: Path) -> None:
    storage.put(SHA256, spooled(tmp_path, b"cut short"))

    storage.put(SHA256, source)

    assert content_of(storage, SHA256) == CONTENT


def test_put_of_many_threads_stores_the_original_once(storage: Storage, tmp_path: Path) -> None:
    sources = [tmp_path / f"upload-{number}" for number in range(8)]
    for path in sources:
        path.write_bytes(CONTENT)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda path: storage.put(SHA256, path), sources))

    assert [(found.sha256, found.size) for found in storage.walk()] == [(SHA256, len(CONTENT))]
    assert content_of(storage, SHA256) == CONTENT


def test_put_leaves_nothing_when_its_source_cannot_be_read(storage: Storage) -> None:
    with pytest.raises(StorageUnavailable):
        storage.put(SHA256, UNREADABLE)

    assert list(storage.walk()) == []
    with pytest.raises(StorageUnavailable):
        storage.size(SHA256)


def test_missing_original_is_the_stores_fault(storage: Storage) -> None:
    for ask in (storage.size, storage.stat, storage.read):
        with pytest.raises(StorageUnavailable, match="missing"):
            ask(SHA256)
    with pytest.raises(StorageUnavailable, match="missing"), storage.fetch(SHA256):
        pass


def test_remove_takes_the_original_and_does_not_mind_its_absence(storage: Storage, source: Path) -> None:
    storage.put(SHA256, source)

    storage.remove(SHA256)
    storage.remove(SHA256)

    assert list(storage.walk()) == []


def test_fetch_refuses_bytes_that_are_not_those_of_the_name(storage: Storage, tmp_path: Path) -> None:
    storage.put(SHA256, spooled(tmp_path, CONTENT[:-1] + b"?"))

    with pytest.raises(OriginalDamaged), storage.fetch(SHA256):
        pass

    assert list((tmp_path / "spool").iterdir()) == []


def test_put_replaces_damaged_bytes_of_the_same_length(
    storage: Storage, source: Path, tmp_path: Path
) -> None:
    storage.put(SHA256, spooled(tmp_path, CONTENT[:-1] + b"?"))

    storage.put(SHA256, source)

    assert content_of(storage, SHA256) == CONTENT


def test_shelved_original_is_missing_until_it_is_put_back(storage: Storage, source: Path) -> None:
    storage.put(SHA256, source)

    storage.shelve(SHA256, ".trash")

    assert [found.sha256 for found in storage.shelved(".trash")] == [SHA256]
    assert list(storage.walk()) == []
    with pytest.raises(OriginalMissing):
        storage.stat(SHA256)
    with pytest.raises(OriginalMissing):
        storage.shelve(SHA256, ".trash")

    storage.unshelve(SHA256, ".trash")
    storage.unshelve(SHA256, ".trash")

    assert content_of(storage, SHA256) == CONTENT
    assert list(storage.shelved(".trash")) == []


def test_what_comes_back_from_a_shelf_does_not_replace_what_was_put_since(
    storage: Storage, source: Path, tmp_path: Path
) -> None:
    storage.put(SHA256, spooled(tmp_path, CONTENT[:-1] + b"?"))
    storage.shelve(SHA256, ".quarantine")
    storage.put(SHA256, source)

    with storage.read(SHA256, ".quarantine") as damaged:
        assert damaged.read() == CONTENT[:-1] + b"?"
    storage.unshelve(SHA256, ".quarantine")

    assert content_of(storage, SHA256) == CONTENT
    assert list(storage.shelved(".quarantine")) == []


def test_assure_puts_again_what_was_collected_meanwhile(storage: Storage, source: Path) -> None:
    storage.put(SHA256, source)
    storage.shelve(SHA256, ".trash")

    storage.assure(SHA256, source)

    assert content_of(storage, SHA256) == CONTENT


def test_walk_is_in_the_order_of_hashes_and_can_begin_anywhere(storage: Storage, source: Path) -> None:
    names = [f"{start}{'0' * 58}{end}" for start in ("0000", "00ff", "7a00", "ff01") for end in ("01", "ff")]
    for name in reversed(names):
        storage.put(name, source)

    assert [found.sha256 for found in storage.walk()] == names
    for number in range(len(names)):
        assert [found.sha256 for found in storage.walk(names[number])] == names[number + 1 :]


def test_walk_finds_every_original(storage: Storage, tmp_path: Path) -> None:
    contents = [bytes([number]) * (number + 1) for number in range(20)]
    expected = {hashlib.sha256(content).hexdigest(): len(content) for content in contents}
    for content in contents:
        storage.put(hashlib.sha256(content).hexdigest(), spooled(tmp_path, content))

    found = list(storage.walk())

    assert {original.sha256: original.size for original in found} == expected
    assert len(found) == len(expected)
    assert all(original.modified.tzinfo is UTC for original in found)


@pytest.mark.parametrize("name", ["", "../" * 3, "a" * 63, "a" * 65, "A" * 64, "a" * 64 + "\n", "/" * 64])
def test_name_that_is_no_sha256_is_refused(storage: Storage, source: Path, name: str) -> None:
    with pytest.raises(ValueError, match="64 lower-case hex"):
        storage.put(name, source)
    for ask in (storage.size, storage.stat, storage.read, storage.remove):
        with pytest.raises(ValueError, match="64 lower-case hex"):
            ask(name)
    with pytest.raises(ValueError, match="64 lower-case hex"):
        storage.locate(name, 1)


def test_empty_store_is_healthy(storage: Storage) -> None:
    storage.check()

    assert list(storage.walk()) == []


def test_folder_is_made_with_its_parents_for_every_spelling(tmp_path: Path) -> None:
    for number, spelling in enumerate(("", "file://", "osfs://")):
        folder = tmp_path / f"new{number}" / "originals"

        open_storage(f"{spelling}{folder}", spool_dir=tmp_path / "spool").close()

        assert folder.is_dir()


def test_percent_in_a_file_url_is_decoded(tmp_path: Path) -> None:
    open_storage(f"file://{tmp_path}/my%20originals", spool_dir=tmp_path / "spool").close()

    assert (tmp_path / "my originals").is_dir()


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("", "absolute path"),
        ("originals", "absolute path"),
        ("file://originals", "absolute path"),
        ("s3:/key:hidden@bucket", "absolute path"),
        ("file:///dev/null/originals", "Not a directory"),
        ("s3://key:hidden@", "bucket"),
        ("s3://key:hidden/bucket", "bucket"),
        ("s3://key@bucket", "both access key and secret"),
        ("s3://:hidden@bucket", "both access key and secret"),
        ("s3://key:hidden@bucket?strict=1", "options"),
        ("s3://key:hidden@bucket?endpoint_url=hidden:9000", "endpoint_url"),
        ("s3://key:hidden@bucket?endpoint_url=http://host:99999", "endpoint_url"),
        ("s3://key:hidden@bucket?read_timeout=0", "read_timeout"),
        ("s3://key:hidden@bucket?read_timeout=61", "read_timeout"),
        ("nonsense://key:hidden@host", "PyFilesystem"),
        ("zip:///hidden/is/not/there.zip", "PyFilesystem"),
    ],
)
def test_faulty_url_is_refused_with_one_line_that_keeps_secrets(tmp_path: Path, url: str, fault: str) -> None:
    with pytest.raises(ValueError, match=fault) as caught:
        open_storage(url, spool_dir=tmp_path)

    assert str(caught.value).startswith("STORAGE_URL")
    assert (
        "hidden" not in "".join(traceback.format_exception(caught.value, chain=True)).split("ValueError:")[-1]
    )
    assert "\n" not in str(caught.value)


def test_escaped_characters_in_access_key_and_secret_are_decoded(tmp_path: Path) -> None:
    url = "s3://a%3Ab:c%2Fd%40e%2Bf@originals/deep/er?region=eu-west-1"

    place = open_storage(url, spool_dir=tmp_path).locate(SHA256, 1)

    assert isinstance(place, RemoteObject)
    parts = urlsplit(place.url)
    assert parts.path.endswith(f"/deep/er/{STORED_AT}")
    assert "/eu-west-1/s3/aws4_request" in unquote(parts.query)
    assert "X-Amz-Credential=a%3Ab%2F" in parts.query
