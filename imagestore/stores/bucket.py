"""Originals in an S3 bucket: one request an operation, presigned URLs for nginx."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from imagestore.records import RemoteObject
from imagestore.stores.base import Storage
from imagestore.stores.failures import translated
from imagestore.stores.layout import Shelf, path_of


class BucketStorage(Storage):
    """A bucket, or a prefix of one."""

    def locate(self, sha256: str, size: int) -> RemoteObject:
        path = path_of(sha256)
        with translated():
            return RemoteObject(self._filesystem.presign(path))

    def _put(self, path: str, source: Path) -> bool:
        with source.open("rb") as content:
            self._filesystem.upload(path, content)
        return False

    def _move(self, source: str, target: str) -> None:
        # S3 cannot rename. A copy that is there when this is cut off is found on its shelf later.
        self._filesystem.copy(source, target)
        self._filesystem.remove(source)

    def _files(self, after: str) -> Iterator[tuple[str, int, datetime]]:
        yield from self._filesystem.objects(after=path_of(after) if after else "")

    def _shelf(self, shelf: Shelf) -> Iterator[tuple[str, int, datetime]]:
        yield from self._filesystem.objects(below=f"{shelf}/")

    def _probe(self) -> None:
        self._filesystem.probe()
