"""What only a store in a local folder promises: durable writes, no links followed, served in place."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from imagestore import localdisk
from imagestore.errors import OriginalDamaged, StorageUnavailable
from imagestore.records import LocalFile
from imagestore.storage import Storage, open_storage
from imagestore.stores.folder import FolderStorage
from imagestore.stores.verified import Verified
from tests.originals import CONTENT, SHA256, STORED_AT, content_of, folder_storage, spooled
from tests.servers import ROOT, wait_until


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[Storage]:
    storage = folder_storage(tmp_path)
    yield storage
    storage.close()


@pytest.fixture
def root(storage: Storage) -> Path:
    assert storage.root is not None
    return storage.root


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return spooled(tmp_path, CONTENT)


def test_locate_names_the_file_below_the_root(storage: Storage, root: Path, source: Path) -> None:
    storage.put(SHA256, source)

    place = storage.locate(SHA256, len(CONTENT))

    assert place == LocalFile(STORED_AT)
    assert (root / STORED_AT).read_bytes() == CONTENT


def test_locate_refuses_a_file_of_another_length(storage: Storage, source: Path) -> None:
    storage.put(SHA256, source)

    with pytest.raises(StorageUnavailable, match="another length"):
        storage.locate(SHA256, len(CONTENT) + 1)


def test_stored_file_can_be_read_by_nginx_but_the_root_is_not_for_all(
    storage: Storage, root: Path, source: Path
) -> None:
    storage.put(SHA256, source)

    assert (root / STORED_AT).stat().st_mode & 0o777 == 0o644
    assert root.stat().st_mode & 0o007 == 0


def test_put_links_a_source_of_the_same_disk(storage: Storage, root: Path, source: Path) -> None:
    storage.put(SHA256, source)

    assert (root / STORED_AT).samefile(source)


def test_fetch_gives_the_stored_file_itself(storage: Storage, source: Path) -> None:
    storage.put(SHA256, source)

    with storage.fetch(SHA256) as path:
        assert path.samefile(source)


@pytest.mark.parametrize("linked", [STORED_AT, STORED_AT[:5], STORED_AT[:2]])
def test_link_out_of_the_root_is_never_followed(
    storage: Storage, root: Path, source: Path, tmp_path: Path, linked: str
) -> None:
    outside = tmp_path / "outside" / STORED_AT
    outside.parent.mkdir(parents=True)
    outside.write_bytes(CONTENT)
    link = root / linked
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(tmp_path / "outside" / linked)

    assert list(storage.walk()) == []
    for ask in (storage.size, storage.read, storage.remove):
        with pytest.raises(StorageUnavailable):
            ask(SHA256)
    with pytest.raises(StorageUnavailable), storage.fetch(SHA256):
        pass
    with pytest.raises(StorageUnavailable):
        storage.locate(SHA256, len(CONTENT))
    assert outside.read_bytes() == CONTENT


def test_put_writes_nothing_through_a_linked_folder(
    storage: Storage, root: Path, source: Path, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (root / SHA256[:2]).symlink_to(outside)

    with pytest.raises(StorageUnavailable):
        storage.put(SHA256, source)

    assert list(outside.iterdir()) == []


def test_put_replaces_a_link_that_stands_at_the_final_name(
    storage: Storage, root: Path, source: Path, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(b"not ours")
    link = root / STORED_AT
    link.parent.mkdir(parents=True)
    link.symlink_to(outside)

    storage.put(SHA256, source)

    assert content_of(storage, SHA256) == CONTENT
    assert outside.read_bytes() == b"not ours"


def test_put_tells_of_damage_that_it_healed(storage: Storage, root: Path, source: Path) -> None:
    first = storage.put(SHA256, source)
    again = storage.put(SHA256, source)
    (root / STORED_AT).unlink()
    (root / STORED_AT).write_bytes(CONTENT[:-1] + b"?")

    healed = storage.put(SHA256, source)

    assert (first, again, healed) == (False, False, True)
    assert content_of(storage, SHA256) == CONTENT


def test_walk_skips_what_is_no_original(storage: Storage, root: Path, source: Path) -> None:
    storage.put(SHA256, source)
    for stray in ("README", "ab/notes", "ab/cd/short", f"ab/cd/{'0' * 64}", f".tmp/{SHA256}"):
        (root / stray).parent.mkdir(parents=True, exist_ok=True)
        (root / stray).write_bytes(b"stray")

    assert [found.sha256 for found in storage.walk()] == [SHA256]


def test_lost_root_is_reported_and_not_made_anew(
    storage: Storage, root: Path, source: Path, tmp_path: Path
) -> None:
    away = root.rename(tmp_path / "unmounted")

    with pytest.raises(StorageUnavailable):
        storage.check()
    with pytest.raises(StorageUnavailable):
        storage.put(SHA256, source)
    assert not root.exists()

    away.rename(root)
    storage.put(SHA256, source)
    storage.check()


def test_opening_removes_leftovers_older_than_a_day(tmp_path: Path) -> None:
    temporary, spool = tmp_path / "originals" / ".tmp", tmp_path / "spool"
    a_day_ago = time.time() - 86_400
    for folder, prefix in ((temporary, ""), (spool, "original-")):
        folder.mkdir(parents=True)
        for name, age in (("old", a_day_ago - 10), ("young", a_day_ago + 600)):
            (folder / f"{prefix}{name}").touch()
            os.utime(folder / f"{prefix}{name}", (age, age))
    (spool / "of-somebody-else").touch()
    os.utime(spool / "of-somebody-else", (1, 1))

    open_storage(f"{tmp_path}/originals", spool_dir=spool).close()

    assert [path.name for path in temporary.iterdir()] == ["young"]
    assert {path.name for path in spool.iterdir()} == {"original-young", "of-somebody-else"}


def test_kill_in_the_middle_of_a_put_leaves_nothing_under_the_final_name(
    storage: Storage, root: Path, source: Path, tmp_path: Path
) -> None:
    # The disk is made to stop half way through a copy: the state that a power cut finds.
    half_way = """if True:
        import errno, os, pathlib, shutil, signal, sys
        from imagestore.storage import open_storage
        def no_link(source, target):
            raise OSError(errno.EXDEV, "another file system")
        def half_a_copy(source, target):
            with open(source, "rb") as whole, open(target, "wb") as half:
                half.write(whole.read(5000))
                half.flush()
                signal.pause()
        os.link, shutil.copyfile = no_link, half_a_copy
        storage = open_storage(sys.argv[1], spool_dir=pathlib.Path(sys.argv[2]))
        storage.put(sys.argv[3], pathlib.Path(sys.argv[4]))
    """
    arguments = [str(root), str(tmp_path / "spool"), SHA256, str(source)]
    with subprocess.Popen([sys.executable, "-c", half_way, *arguments], cwd=ROOT) as writer:
        wait_until(
            lambda: [path.stat().st_size for path in root.glob(".tmp/*")] == [5000],
            what="half of a copy",
        )

        writer.send_signal(signal.SIGKILL)

    assert list(storage.walk()) == []
    assert not (root / STORED_AT).exists()
    storage.put(SHA256, source)
    assert content_of(storage, SHA256) == CONTENT


def test_full_disk_is_insufficient_storage_and_leaves_nothing_half_written(tmp_path: Path) -> None:
    # A disk of 1 MiB in a mount namespace of its own, which ends with the process.
    disk = tmp_path / "disk"
    disk.mkdir()
    source = spooled(tmp_path, bytes(2 << 20))
    fill = """if True:
        import os, pathlib, sys
        from imagestore.errors import InsufficientStorage
        from imagestore.storage import open_storage
        disk, source = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
        storage = open_storage(f"{disk}/originals", spool_dir=source.parent / "spool")
        try:
            storage.put("a" * 64, source)
        except InsufficientStorage:
            print([name for _, _, files in os.walk(disk) for name in files])
    """
    namespace = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--user", "--map-root-user"])]
    if subprocess.run([*namespace, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("this machine lets nobody mount a file system")
    shell = 'mount -t tmpfs -o size=1m none "$1" && exec "$2" -c "$3" "$1" "$4"'
    command = [*namespace, "sh", "-c", shell, "sh", str(disk), sys.executable, fill, str(source)]

    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert (answer.stdout, answer.stderr) == ("[]\n", "")


@pytest.fixture
def hashed(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files that are hashed, in a store whose clock runs ten seconds fast, so that no file is new."""
    assert isinstance(storage, FolderStorage)
    storage._verified = Verified(lambda: time.time_ns() + 10_000_000_000)
    paths: list[Path] = []
    hash_ = localdisk.sha256_of
    monkeypatch.setattr(localdisk, "sha256_of", lambda path: paths.append(path) or hash_(path))
    return paths


def test_several_pictures_of_an_original_cost_one_reading_of_it(
    storage: Storage, source: Path, root: Path, hashed: list[Path]
) -> None:
    storage.put(SHA256, source)

    for _ in range(5):
        with storage.fetch(SHA256):
            pass

    assert hashed == [root / STORED_AT]


@pytest.mark.parametrize("how", ["written in place", "replaced"])
def test_file_that_is_damaged_after_it_was_verified_is_noticed(
    storage: Storage, source: Path, root: Path, hashed: list[Path], how: str
) -> None:
    storage.put(SHA256, source)
    with storage.fetch(SHA256) as path:
        before = path.stat()
    damaged = CONTENT[:-1] + b"?"

    if how == "replaced":
        other = spooled(root, damaged)
        other.replace(path)
    else:
        path.write_bytes(damaged)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))

    assert path.stat().st_size == before.st_size
    with pytest.raises(OriginalDamaged), storage.fetch(SHA256):
        pass
    assert len(hashed) == 2


def test_verified_file_is_read_again_after_a_minute_and_a_new_one_at_once(tmp_path: Path) -> None:
    file = tmp_path / "original"
    file.write_bytes(CONTENT)
    found = file.stat()
    age_s = 0
    verified = Verified(lambda: found.st_ctime_ns + age_s * 10**9)

    verified.note(SHA256, found)
    assert not verified.holds(SHA256, found)
    age_s = 2
    verified.note(SHA256, found)

    age_s = 61
    assert verified.holds(SHA256, found)
    age_s = 62
    assert not verified.holds(SHA256, found)
