"""Two stores as one while originals move from the old to the new: written to the new, read from both."""

import contextlib
import heapq
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from itertools import groupby
from pathlib import Path
from typing import BinaryIO, TypeVar

from imagestore.errors import OriginalMissing
from imagestore.records import LocalFile, RemoteObject, StoredFile
from imagestore.stores.base import Storage
from imagestore.stores.layout import Shelf

T = TypeVar("T")


class FallbackStorage(Storage):
    """The new store; what it lacks is looked for in the old one."""

    def __init__(self, new: Storage, old: Storage, spool_dir: Path) -> None:
        super().__init__(None, spool_dir)
        self._new = new
        self._old = old
        self.root = new.root

    def put(self, sha256: str, source: Path) -> bool:
        return self._new.put(sha256, source)

    @contextlib.contextmanager
    def fetch(self, sha256: str) -> Iterator[Path]:
        with self._holder(sha256).fetch(sha256) as path:
            yield path

    def read(self, sha256: str, shelf: Shelf | None = None) -> AbstractContextManager[BinaryIO]:
        return self._either(lambda store: store.read(sha256, shelf))

    def locate(self, sha256: str, size: int) -> LocalFile | RemoteObject | None:
        """As the store that has it says it; a folder that is not the one nginx serves is only read.

        Asks the new store first, since a URL into it tells nothing: one request if it is S3.
        """
        holder = self._holder(sha256)
        place = holder.locate(sha256, size)
        return None if holder is self._old and isinstance(place, LocalFile) else place

    def stat(self, sha256: str) -> StoredFile:
        return self._either(lambda store: store.stat(sha256))

    def remove(self, sha256: str, shelf: Shelf | None = None) -> None:
        for store in (self._new, self._old):
            store.remove(sha256, shelf)

    def walk(self, after: str = "") -> Iterator[StoredFile]:
        both = heapq.merge(self._new.walk(after), self._old.walk(after), key=lambda file: file.sha256)
        for _, same in groupby(both, key=lambda file: file.sha256):
            # The merge is stable: the new store's comes first, as with `stat`.
            yield next(same)

    def owners(self) -> Sequence[str | None]:
        return [*self._new.owners(), *self._old.owners()]

    def claim(self, owner: str) -> None:
        for store in (self._new, self._old):
            store.claim(owner)

    def shelve(self, sha256: str, shelf: Shelf) -> None:
        """A damaged original is taken out of the store that `read` found it in, so that the other
        may serve; one that no row needs is taken out of both."""
        if shelf == ".quarantine":
            self._either(lambda store: store.shelve(sha256, shelf))
            return
        gone = 0
        for store in (self._new, self._old):
            try:
                store.shelve(sha256, shelf)
            except OriginalMissing:
                gone += 1
        if gone == 2:
            raise OriginalMissing("the original is missing from both stores")

    def unshelve(self, sha256: str, shelf: Shelf) -> None:
        for store in (self._new, self._old):
            store.unshelve(sha256, shelf)

    def shelved(self, shelf: Shelf) -> Iterator[StoredFile]:
        yield from self._new.shelved(shelf)
        yield from self._old.shelved(shelf)

    def room(self) -> tuple[int, int] | None:
        return self._new.room()

    def check(self) -> None:
        self._new.check()

    def sweep(self) -> int:
        return self._new.sweep() + self._old.sweep()

    def close(self) -> None:
        self._new.close()
        self._old.close()

    def _holder(self, sha256: str) -> Storage:
        def find(store: Storage) -> Storage:
            store.stat(sha256)
            return store

        return self._either(find)

    def _either(self, ask: Callable[[Storage], T]) -> T:
        try:
            return ask(self._new)
        except OriginalMissing:
            return ask(self._old)
