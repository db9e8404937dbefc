"""The store of originals: a local folder, an S3 bucket, or any PyFilesystem, behind one class.

An original is stored once, under its SHA-256: `ab/cd/<sha256>`. A path is only ever made from a
hash that was checked here. The only user of PyFilesystem2, with `s3.py`.
"""

import contextlib
import errno
import io
import os
import re
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import unquote

import fs
from fs import errors
from fs.base import FS
from fs.opener.errors import OpenerError
from fs.osfs import OSFS

from imagestore import localdisk
from imagestore.errors import InsufficientStorage, StorageUnavailable
from imagestore.records import LocalFile, RemoteObject, StoredFile

_SHA256 = re.compile(r"[0-9a-f]{64}")
_PAIR = re.compile(r"[0-9a-f]{2}")

_SPOOLED = "original-"
_BLOCK_BYTES = 1 << 18


def open_storage(url: str, *, spool_dir: Path) -> "Storage":
    """The store that `STORAGE_URL` names.

    An absolute path, `file:///folder` or `osfs:///folder` (made with mode 0750 if missing);
    `s3://KEY:SECRET@bucket/prefix?endpoint_url=&region=&read_timeout=` (each part may be
    percent-encoded, as `/`, `@`, `:` and `?` in a key must be; without keys boto3 looks in its usual
    places; `read_timeout` is 1 to 60 seconds); or any other PyFilesystem URL, such as `mem://`.
    An S3 store is not asked anything yet.

    Copies of originals that are not local lie in `spool_dir` for as long as they are needed.

    Raises:
        ValueError: one line, without any secret, that says what is wrong with STORAGE_URL.
    """
    spool_dir.mkdir(parents=True, exist_ok=True)
    localdisk.sweep(spool_dir, prefix=_SPOOLED)
    scheme, separator, rest = url.partition("://")
    if not separator:
        return _open_folder(url, spool_dir)
    if scheme in ("file", "osfs"):
        return _open_folder(unquote(rest), spool_dir)
    if scheme == "s3":
        # Here, because boto3 costs a process 26 MB and 0.25 s, which a local store need not pay.
        from imagestore.s3 import StreamingS3FS

        return _BucketStorage(StreamingS3FS.from_url(url), spool_dir)
    # No chaining and no echo below: PyFilesystem's messages repeat the URL with its password.
    try:
        return Storage(fs.open_fs(url), spool_dir)
    except (errors.FSError, OpenerError, OSError, ValueError) as error:
        fault = type(error).__name__
    raise ValueError(f"STORAGE_URL: PyFilesystem cannot open this kind of store ({fault})")


class Storage:
    """Originals by SHA-256; safe to use from many threads at once.

    Every method takes 64 lower-case hex digits and raises ValueError for anything else. When the
    store fails, does not answer, or lacks an original that it was asked for, that is
    StorageUnavailable: who asks for an original has a row that promises it. A store on S3 that
    accepts and never answers costs at most 5 s a call (measured: 3.5 s, a put 4.5 s).
    """

    root: Path | None = None
    """The folder that nginx may serve from; only a local store has one."""

    def __init__(self, filesystem: FS, spool_dir: Path) -> None:
        self._filesystem: Any = filesystem
        self._spool_dir = spool_dir

    def put(self, sha256: str, source: Path) -> None:
        """Store the file `source` durably; again is fine, and makes the stored file young.

        Durable means synced and renamed in a folder, acknowledged by S3, and whatever another
        PyFilesystem promises. The content is not hashed here. `source` may be unlinked afterwards,
        but not written to: a local store may have linked it.

        Raises:
            InsufficientStorage: disk or quota full; nothing half-written is left.
            StorageUnavailable: the store failed; nothing half-written is left.
        """
        path = _path(sha256)
        with _translated(missing="the store of originals is not there"):
            self._put(path, source)

    @contextlib.contextmanager
    def fetch(self, sha256: str) -> Iterator[Path]:
        """A local file that holds the original during the `with` block: a temporary copy in the
        spool, or the stored file itself, which must not be written to.

        Raises:
            InsufficientStorage: the spool is full.
        """
        with self.read(sha256) as original, _translated():
            handle, name = tempfile.mkstemp(prefix=_SPOOLED, dir=self._spool_dir)
            copy = Path(name)
            try:
                with os.fdopen(handle, "wb") as spooled:
                    shutil.copyfileobj(original, spooled, _BLOCK_BYTES)
            except BaseException:
                copy.unlink()
                raise
        try:
            yield copy
        finally:
            copy.unlink(missing_ok=True)

    def read(self, sha256: str) -> AbstractContextManager[BinaryIO]:
        """The original as a stream, for when neither nginx nor a file can serve. It may not seek;
        its reads raise StorageUnavailable, also when it ends before its announced length."""
        path = _path(sha256)
        with _translated():
            return io.BufferedReader(_Original(self._open(path)), _BLOCK_BYTES)

    def locate(self, sha256: str, size: int) -> LocalFile | RemoteObject | None:
        """Where nginx can get the original of `size` bytes itself; None if only `read` can.

        Costs no request: a local file's length is checked here, a remote one's is not.
        """
        _path(sha256)
        return None

    def stat(self, sha256: str) -> StoredFile:
        """Its length, and when it was put last."""
        path = _path(sha256)
        with _translated():
            size, modified = self._stat(path)
        return StoredFile(sha256, size, modified)

    def size(self, sha256: str) -> int:
        """Its length in bytes."""
        return self.stat(sha256).size

    def remove(self, sha256: str) -> None:
        """Remove it; absent is fine."""
        path = _path(sha256)
        with _translated(), contextlib.suppress(errors.ResourceNotFound):
            self._filesystem.remove(path)

    def walk(self) -> Iterator[StoredFile]:
        """Every original, in no promised order and with constant memory; other files are skipped."""
        with _translated():
            for path, size, modified in self._files():
                sha256 = path.rpartition("/")[2]
                if _SHA256.fullmatch(sha256) and path == _path(sha256):
                    yield StoredFile(sha256, size, modified)

    def check(self) -> None:
        """Ask the store for a sign of life, cheaply.

        Raises:
            StorageUnavailable: it does not answer within 5 s, or it does not let us in.
        """
        with _translated():
            self._probe()

    def close(self) -> None:
        """Let go of connections; the store cannot be used any more."""
        self._filesystem.close()

    def _put(self, path: str, source: Path) -> None:
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

    def _open(self, path: str) -> Any:
        return self._filesystem.openbin(path)

    def _stat(self, path: str) -> tuple[int, datetime]:
        return _size_and_time(self._filesystem.getinfo(path, namespaces=["details"]))

    def _files(self) -> Iterator[tuple[str, int, datetime]]:
        for first in self._pairs("/"):
            for second in self._pairs(first):
                for info in self._filesystem.scandir(second, namespaces=["details"]):
                    if info.is_file:
                        yield (f"{second}/{info.name}", *_size_and_time(info))

    def _pairs(self, folder: str) -> Iterator[str]:
        for info in self._filesystem.scandir(folder):
            if info.is_dir and _PAIR.fullmatch(info.name):
                yield f"{folder}/{info.name}".lstrip("/")

    def _probe(self) -> None:
        self._filesystem.getinfo("/")


class _FolderStorage(Storage):
    """A local folder: written durably, served by nginx or read in place, links never followed."""

    root: Path

    def __init__(self, root: Path, spool_dir: Path) -> None:
        super().__init__(OSFS(str(root), expand_vars=False), spool_dir)
        self.root = root
        localdisk.sweep(root / localdisk.TEMPORARY)

    @contextlib.contextmanager
    def fetch(self, sha256: str) -> Iterator[Path]:
        path = _path(sha256)
        with _translated():
            localdisk.inspect(self.root, path)
        yield self.root / path

    def locate(self, sha256: str, size: int) -> LocalFile:
        if self.size(sha256) != size:
            raise StorageUnavailable("the stored original has another length than its record")
        return LocalFile(_path(sha256))

    def remove(self, sha256: str) -> None:
        path = _path(sha256)
        with _translated(), contextlib.suppress(FileNotFoundError):
            localdisk.inspect(self.root, path)
            super().remove(sha256)

    def _put(self, path: str, source: Path) -> None:
        localdisk.install(self.root, path, source)

    def _open(self, path: str) -> Any:
        localdisk.inspect(self.root, path)
        return super()._open(path)

    def _stat(self, path: str) -> tuple[int, datetime]:
        found = localdisk.inspect(self.root, path)
        return found.st_size, datetime.fromtimestamp(found.st_mtime, UTC)

    def _files(self) -> Iterator[tuple[str, int, datetime]]:
        for path, found in localdisk.files(self.root):
            yield path, found.st_size, datetime.fromtimestamp(found.st_mtime, UTC)

    def _probe(self) -> None:
        if not localdisk.usable(self.root):
            raise StorageUnavailable("the folder of originals is missing or cannot be written")


class _BucketStorage(Storage):
    """An S3 bucket: one request an operation, presigned URLs for nginx."""

    def locate(self, sha256: str, size: int) -> RemoteObject:
        path = _path(sha256)
        with _translated():
            return RemoteObject(self._filesystem.presign(path))

    def _put(self, path: str, source: Path) -> None:
        with source.open("rb") as content:
            self._filesystem.upload(path, content)

    def _files(self) -> Iterator[tuple[str, int, datetime]]:
        yield from self._filesystem.objects()

    def _probe(self) -> None:
        self._filesystem.probe()


class _Original(io.RawIOBase):
    """A store's stream whose failures are ours."""

    def __init__(self, stream: Any) -> None:
        super().__init__()
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        with _translated():
            return int(self._stream.readinto(buffer))

    def close(self) -> None:
        if not self.closed:
            self._stream.close()
        super().close()


def _path(sha256: str) -> str:
    if not _SHA256.fullmatch(sha256):
        raise ValueError(f"sha256 is {sha256!r}, expected 64 lower-case hex digits")
    return f"{sha256[:2]}/{sha256[2:4]}/{sha256}"


def _size_and_time(info: Any) -> tuple[int, datetime]:
    # A file system without times (some archives) makes everything look new, so gc spares it.
    modified = info.raw["details"].get("modified")
    return info.size, datetime.now(UTC) if modified is None else datetime.fromtimestamp(modified, UTC)


@contextlib.contextmanager
def _translated(missing: str = "the original is missing from the store") -> Iterator[None]:
    """The errors of PyFilesystem and of the operating system as the domain's own."""
    try:
        yield
    except (errors.FSError, OSError) as error:
        cause = getattr(error, "exc", None) or error
        if isinstance(error, errors.InsufficientStorage) or (
            isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT)
        ):
            raise InsufficientStorage("the store of originals is full") from error
        if isinstance(error, (errors.ResourceNotFound, FileNotFoundError)):
            raise StorageUnavailable(missing) from error
        raise StorageUnavailable("the store of originals does not answer as it should") from error


def _open_folder(folder: str, spool_dir: Path) -> Storage:
    if not folder.startswith("/"):
        raise ValueError("STORAGE_URL: expected an absolute path, or a URL as file:///folder or s3://bucket")
    try:
        os.makedirs(folder, mode=0o750, exist_ok=True)
        return _FolderStorage(Path(folder).resolve(strict=True), spool_dir)
    except (errors.FSError, OSError) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise ValueError(f"STORAGE_URL: the folder {folder!r} cannot be used: {reason}") from error
