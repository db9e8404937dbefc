"""What every store of originals can do, on any PyFilesystem."""

import contextlib
import hashlib
import io
import os
import re
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from fs import errors
from fs.base import FS

from imagestore import localdisk
from imagestore.errors import OriginalDamaged, OriginalMissing, StorageUnavailable
from imagestore.metrics import store_operation
from imagestore.records import LocalFile, RemoteObject, StoredFile
from imagestore.stores.failures import OriginalStream, translated
from imagestore.stores.layout import OWNER, SHA256, Shelf, path_of, path_prefix

SPOOLED = "original-"
"""How the names of copies in the spool begin."""

_PAIR = re.compile(r"[0-9a-f]{2}")
_BLOCK_BYTES = 1 << 18
_OWNER_BYTES = 64


class Storage:
    """Originals by SHA-256; safe to use from many threads at once.

    Every method takes 64 lower-case hex digits and raises ValueError for anything else. When the
    store fails or does not answer, that is StorageUnavailable; its kind OriginalMissing says that
    the store answers and lacks the original: who asks for one has a row that promises it. A store
    on S3 that accepts and never answers costs at most 5 s a call (measured: 3.5 s, a put 4.5 s).
    """

    root: Path | None = None
    """The folder that nginx may serve from; only a local store has one."""

    def __init__(self, filesystem: FS | None, spool_dir: Path) -> None:
        self._filesystem: Any = filesystem
        self._spool_dir = spool_dir

    def put(self, sha256: str, source: Path) -> bool:
        """Store the file `source` durably; again is fine, and makes the stored file young.

        Durable means synced and renamed in a folder, acknowledged by S3, and whatever another
        PyFilesystem promises. The content is not hashed here. `source` may be unlinked afterwards,
        but not written to: a local store may have linked it. Other bytes that lay under that name
        were damaged, and are replaced; True when a local store saw that.

        Raises:
            InsufficientStorage: disk or quota full; nothing half-written is left.
            StorageUnavailable: the store failed; nothing half-written is left.
        """
        path = path_of(sha256)
        with store_operation("put"), translated(missing="the store of originals is not there"):
            return self._put(path, source)

    def assure(self, sha256: str, source: Path) -> None:
        """After the row that needs it was committed: put `source` again if it was collected meanwhile.

        A collection takes a file away first and asks for rows then, so that one of the two sees
        the other, whatever the order of things. A store that does not answer now has just taken the put.
        """
        try:
            self.stat(sha256)
        except OriginalMissing:
            self.put(sha256, source)
        except StorageUnavailable:
            return

    @contextlib.contextmanager
    def fetch(self, sha256: str) -> Iterator[Path]:
        """A local file that holds the original during the `with` block: a temporary copy in the
        spool, or the stored file itself, which must not be written to.

        Raises:
            OriginalDamaged: it has other bytes than its name says.
            InsufficientStorage: the spool is full.
        """
        with self.copy(sha256, self._spool_dir) as (path, _):
            yield path

    @contextlib.contextmanager
    def copy(self, sha256: str, folder: Path) -> Iterator[tuple[Path, int]]:
        """A copy of the original in `folder` during the `with` block, and its length in bytes; the
        bytes were compared with their name.

        Raises:
            OriginalDamaged: it has other bytes than its name says.
            InsufficientStorage: the disk of `folder` is full.
        """
        digest, size = hashlib.sha256(), 0
        with store_operation("fetch"), self.read(sha256) as original, translated():
            handle, name = tempfile.mkstemp(prefix=SPOOLED, dir=folder)
            copy = Path(name)
            try:
                with os.fdopen(handle, "wb") as spooled:
                    while block := original.read(_BLOCK_BYTES):
                        digest.update(block)
                        spooled.write(block)
                        size += len(block)
            except BaseException:
                copy.unlink()
                raise
        try:
            if digest.hexdigest() != sha256:
                raise OriginalDamaged("the stored original has other bytes than it had")
            yield copy, size
        finally:
            copy.unlink(missing_ok=True)

    def read(self, sha256: str, shelf: Shelf | None = None) -> AbstractContextManager[BinaryIO]:
        """The original as a stream, for when neither nginx nor a file can serve. It may not seek;
        its reads raise StorageUnavailable, also when it ends before its announced length."""
        path = path_of(sha256, shelf)
        with store_operation("read"), translated():
            return io.BufferedReader(OriginalStream(self._open(path)), _BLOCK_BYTES)

    def locate(self, sha256: str, size: int) -> LocalFile | RemoteObject | None:
        """Where nginx can get the original of `size` bytes itself; None if only `read` can.

        Costs no request: a local file's length is checked here, a remote one's is not.
        """
        path_of(sha256)
        return None

    def stat(self, sha256: str) -> StoredFile:
        """Its length, and when it was put last."""
        path = path_of(sha256)
        with store_operation("stat"), translated():
            size, modified = self._stat(path)
        return StoredFile(sha256, size, modified)

    def size(self, sha256: str) -> int:
        """Its length in bytes."""
        return self.stat(sha256).size

    def remove(self, sha256: str, shelf: Shelf | None = None) -> None:
        """Remove it for good; absent is fine."""
        path = path_of(sha256, shelf)
        with (
            store_operation("remove"),
            translated(),
            contextlib.suppress(errors.ResourceNotFound, FileNotFoundError),
        ):
            self._remove(path)

    def walk(self, after: str = "") -> Iterator[StoredFile]:
        """Every original with a hash above `after`, in the order of hashes and with constant memory;
        other files are skipped. One that comes or goes meanwhile may be missed or still be seen."""
        with translated():
            for path, size, modified in self._files(after):
                sha256 = path.rpartition("/")[2]
                if sha256 > after and SHA256.fullmatch(sha256) and path == path_of(sha256):
                    yield StoredFile(sha256, size, modified)

    # Whose it is.

    def owners(self) -> Sequence[str | None]:
        """The name of the database that the store belongs to, None if nobody has claimed it: one for
        each store that is behind this one."""
        try:
            with translated(), self._open(OWNER) as mark:
                return [mark.read(_OWNER_BYTES).decode("ascii", "replace").strip()]
        except OriginalMissing:
            return [None]

    def claim(self, owner: str) -> None:
        """Write down whose the store is, in the place of what was there."""
        handle, name = tempfile.mkstemp(prefix=SPOOLED, dir=self._spool_dir)
        mark = Path(name)
        try:
            with os.fdopen(handle, "w", encoding="ascii") as file:
                file.write(f"{owner}\n")
            with translated(missing="the store of originals is not there"):
                self._put(OWNER, mark)
        finally:
            mark.unlink()

    # Shelves.

    def shelve(self, sha256: str, shelf: Shelf) -> None:
        """Move an original to a shelf, where nothing but these methods finds it.

        Raises:
            OriginalMissing: it is not there.
        """
        with translated():
            self._move(path_of(sha256), path_of(sha256, shelf))

    def unshelve(self, sha256: str, shelf: Shelf) -> None:
        """Put it back in its place, unless a new one is there; absent is fine."""
        with contextlib.suppress(OriginalMissing):
            try:
                self.stat(sha256)
            except OriginalMissing:
                with translated():
                    self._move(path_of(sha256, shelf), path_of(sha256))
            else:
                self.remove(sha256, shelf)

    def shelved(self, shelf: Shelf) -> Iterator[StoredFile]:
        """What lies on a shelf."""
        with translated():
            for path, size, modified in self._shelf(shelf):
                name = path.rpartition("/")[2]
                if SHA256.fullmatch(name):
                    yield StoredFile(name, size, modified)

    # Life.

    def room(self) -> tuple[int, int] | None:
        """Bytes that are free and bytes in all; None where nobody can tell, as of a bucket."""
        return None

    def check(self) -> None:
        """Ask the store for a sign of life, cheaply.

        Raises:
            StorageUnavailable: it does not answer within 5 s, or it does not let us in.
        """
        with translated():
            self._probe()

    def sweep(self) -> int:
        """Remove temporary files that are older than a day; how many."""
        return localdisk.sweep(self._spool_dir, prefix=SPOOLED)

    def close(self) -> None:
        """Let go of connections; the store cannot be used any more."""
        self._filesystem.close()

    # What a kind of store may do better.

    def _put(self, path: str, source: Path) -> bool:
        temporary = f"{localdisk.TEMPORARY}/{uuid.uuid4().hex}"
        self._filesystem.makedirs(localdisk.TEMPORARY, recreate=True)
        self._filesystem.makedirs(path.rpartition("/")[0], recreate=True)
        try:
            with source.open("rb") as content:
                self._filesystem.upload(temporary, content)
            self._filesystem.move(temporary, path, overwrite=True)
        except BaseException:
            with contextlib.suppress(errors.FSError):
                self._filesystem.remove(temporary)
            raise
        return False

    def _open(self, path: str) -> Any:
        return self._filesystem.openbin(path)

    def _stat(self, path: str) -> tuple[int, datetime]:
        return size_and_time(self._filesystem.getinfo(path, namespaces=["details"]))

    def _remove(self, path: str) -> None:
        self._filesystem.remove(path)

    def _move(self, source: str, target: str) -> None:
        self._filesystem.makedirs(target.rpartition("/")[0], recreate=True)
        self._filesystem.move(source, target, overwrite=True)

    def _files(self, after: str) -> Iterator[tuple[str, int, datetime]]:
        for first in self._pairs("/"):
            for second in self._pairs(first):
                if second >= path_prefix(after):
                    yield from self._scan(second)

    def _shelf(self, shelf: Shelf) -> Iterator[tuple[str, int, datetime]]:
        with contextlib.suppress(errors.ResourceNotFound):
            yield from self._scan(shelf)

    def _scan(self, folder: str) -> Iterator[tuple[str, int, datetime]]:
        entries = self._filesystem.scandir(folder, namespaces=["details"])
        for info in sorted(entries, key=lambda info: info.name):
            if info.is_file:
                yield (f"{folder}/{info.name}", *size_and_time(info))

    def _pairs(self, folder: str) -> Iterator[str]:
        for info in sorted(self._filesystem.scandir(folder), key=lambda info: info.name):
            if info.is_dir and _PAIR.fullmatch(info.name):
                yield f"{folder}/{info.name}".lstrip("/")

    def _probe(self) -> None:
        self._filesystem.getinfo("/")


def size_and_time(info: Any) -> tuple[int, datetime]:
    """Of a PyFilesystem's entry."""
    # A file system without times (some archives) makes everything look new, so gc spares it.
    modified = info.raw["details"].get("modified")
    return info.size, datetime.now(UTC) if modified is None else datetime.fromtimestamp(modified, UTC)
