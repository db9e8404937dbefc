"""Uploads on their way in: streamed to a file while both digests are computed."""

import contextlib
import errno
import hashlib
import os
import secrets
import time
from collections.abc import Iterator
from pathlib import Path

from imagestore.errors import InsufficientStorage, PayloadTooLarge
from imagestore.records import Content, Source, Spooled

CHUNK_BYTES = 256 * 1024
HEAD_BYTES = 64
"""How much of the beginning is kept for telling the format."""

STALE_S = 24 * 3600
"""A spool file this old belongs to a process that is gone."""


class Spool:
    """The folder where received bodies wait."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.sweep()

    @contextlib.contextmanager
    def receive(self, source: Source, *, max_bytes: int) -> Iterator[Spooled]:
        """`source` read to its end into a file that is gone after the `with` block.

        Raises:
            PayloadTooLarge: more than `max_bytes` came.
            InsufficientStorage: the disk is full.
        """
        path = self._folder / f"{secrets.token_hex(16)}.upload"
        try:
            yield _write(source, path, max_bytes)
        finally:
            path.unlink(missing_ok=True)

    def sweep(self) -> int:
        """Remove the files of processes that are gone; how many."""
        removed = 0
        for path in self._folder.glob("*.upload"):
            with contextlib.suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > STALE_S:
                    path.unlink()
                    removed += 1
        return removed


def _write(source: Source, path: Path, max_bytes: int) -> Spooled:
    # md5 is the public `sum`; identity is sha256 (promises §8).
    md5, sha256 = hashlib.md5(usedforsecurity=False), hashlib.sha256()
    size, head = 0, b""
    try:
        with path.open("xb", buffering=0) as file:
            while chunk := source.read(CHUNK_BYTES):
                size += len(chunk)
                if size > max_bytes:
                    raise PayloadTooLarge(f"the picture is over {max_bytes} bytes")
                head += chunk[: HEAD_BYTES - len(head)]
                md5.update(chunk)
                sha256.update(chunk)
                _write_all(file.fileno(), chunk)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise InsufficientStorage("there is no room to receive the picture") from error
        raise
    return Spooled(path, head, Content(sha256.hexdigest(), md5.hexdigest(), size))


def _write_all(descriptor: int, chunk: bytes) -> None:
    rest = memoryview(chunk)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
