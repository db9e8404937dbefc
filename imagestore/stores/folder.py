"""Originals in a local folder: written durably, served by nginx or read in place, links never followed."""

import contextlib
import errno
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fs.osfs import OSFS

from imagestore import localdisk
from imagestore.errors import OriginalDamaged, StorageUnavailable
from imagestore.metrics import store_operation
from imagestore.records import LocalFile
from imagestore.stores.base import Storage
from imagestore.stores.failures import translated
from imagestore.stores.layout import Shelf, path_of, path_prefix
from imagestore.stores.verified import Verified


class FolderStorage(Storage):
    """A local folder, which is there."""

    root: Path

    def __init__(self, root: Path, spool_dir: Path) -> None:
        super().__init__(OSFS(str(root), expand_vars=False), spool_dir)
        self.root = root
        self._verified = Verified()
        localdisk.sweep(root / localdisk.TEMPORARY)

    @contextlib.contextmanager
    def fetch(self, sha256: str) -> Iterator[Path]:
        """The stored file itself. Its bytes are read once to compare them with its name, which a
        decoder's read of the same pages then finds in memory; for a minute that holds for a file that
        has not been written to (`verified.py`)."""
        path = path_of(sha256)
        with store_operation("fetch"), translated():
            found = localdisk.inspect(self.root, path)
            if not self._verified.holds(sha256, found):
                if localdisk.sha256_of(self.root / path) != sha256:
                    raise OriginalDamaged("the stored original has other bytes than it had")
                self._verified.note(sha256, found)
        yield self.root / path

    def locate(self, sha256: str, size: int) -> LocalFile:
        if self.size(sha256) != size:
            raise StorageUnavailable("the stored original has another length than its record")
        return LocalFile(path_of(sha256))

    def room(self) -> tuple[int, int]:
        with translated():
            usage = shutil.disk_usage(self.root)
        return usage.free, usage.total

    def sweep(self) -> int:
        return super().sweep() + localdisk.sweep(self.root / localdisk.TEMPORARY)

    def _put(self, path: str, source: Path) -> bool:
        return localdisk.install(self.root, path, source)

    def _open(self, path: str) -> Any:
        localdisk.inspect(self.root, path)
        return super()._open(path)

    def _stat(self, path: str) -> tuple[int, datetime]:
        found = localdisk.inspect(self.root, path)
        return found.st_size, datetime.fromtimestamp(found.st_mtime, UTC)

    def _remove(self, path: str) -> None:
        localdisk.inspect(self.root, path)
        super()._remove(path)

    def _move(self, source: str, target: str) -> None:
        localdisk.move(self.root, source, target)

    def _files(self, after: str) -> Iterator[tuple[str, int, datetime]]:
        for path, found in localdisk.files(self.root, path_prefix(after)):
            yield path, found.st_size, datetime.fromtimestamp(found.st_mtime, UTC)

    def _shelf(self, shelf: Shelf) -> Iterator[tuple[str, int, datetime]]:
        for path, found in localdisk.shelf(self.root, shelf):
            yield path, found.st_size, datetime.fromtimestamp(found.st_mtime, UTC)

    def _probe(self) -> None:
        if not localdisk.usable(self.root):
            raise StorageUnavailable("the folder of originals is missing or cannot be written")


def open_folder(folder: str, spool_dir: Path) -> Storage:
    """The store in an absolute path, which is made with mode 0750 if it is missing.

    Raises:
        ValueError: it cannot be used.
    """
    if not folder.startswith("/"):
        raise ValueError("expected an absolute path, or a URL as file:///folder or s3://bucket")
    try:
        Path(folder).mkdir(mode=0o750, parents=True, exist_ok=True)
        return FolderStorage(Path(folder).resolve(strict=True), spool_dir)
    except OSError as error:
        reason = error.strerror or errno.errorcode.get(error.errno or 0, "unknown")
        raise ValueError(f"the folder {folder!r} cannot be used: {reason}") from error
