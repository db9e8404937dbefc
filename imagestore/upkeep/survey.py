"""The survey: rows and stored originals side by side, and what does not fit.

Both come in the order of hashes, so that millions of them need no more memory than a page of rows and
a folder of names. Uploads and deletes go on meanwhile, so that each suspicion is looked at again.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from imagestore.errors import OriginalMissing, StorageUnavailable
from imagestore.inventory import Inventory, Needed
from imagestore.quarantine import is_whole
from imagestore.records import StoredFile
from imagestore.storage import Storage
from imagestore.upkeep.batches import batched

BATCH = 200

Kind = Literal["missing", "size", "content", "unreadable", "stray"]
"""A row without its file; a file of another length, or other bytes, than its row and its name say; one
that the store cannot read; a file that no row needs, though it is older than the grace period."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that does not fit. `image_id` is the first of the `images` that have the original,
    None when only a waiting upload needs it, or nothing does. `age_s` is since the file was put last."""

    kind: Kind
    sha256: str
    detail: str
    images: int = 0
    image_id: int | None = None
    size: int | None = None
    age_s: int | None = None


@dataclass(frozen=True, slots=True)
class Pair:
    """What the rows say of an original and what the store has of it; one of them may be missing."""

    needed: Needed | None
    file: StoredFile | None

    @property
    def sha256(self) -> str:
        one = self.needed or self.file
        return one.sha256 if one else ""


class Survey:
    """Finds faults. Files that were put less than `grace_s` seconds ago may have no row yet; with `deep`
    every byte is read, by up to `readers` threads at once."""

    def __init__(
        self,
        inventory: Inventory,
        storage: Storage,
        *,
        grace_s: float,
        deep: bool,
        readers: int = 4,
        pace: Callable[[int], None] = lambda size: None,
    ) -> None:
        """`pace` is told of each block that was read, and may wait."""
        self._pace = pace
        self._inventory = inventory
        self._storage = storage
        self._grace_s = grace_s
        self._deep = deep
        self._readers = readers

    def run(self) -> Iterator[tuple[Sequence[Pair], list[Fault]]]:
        """Everything, a few hundred originals at a time, each with the faults among them.

        Raises:
            DatabaseUnavailable, StorageUnavailable: the survey is not at its end.
        """
        with ThreadPoolExecutor(self._readers, thread_name_prefix="survey") as readers:
            for pairs in batched(self.pairs(), BATCH):
                whole = list(readers.map(self.examine, pairs))
                strays = self._strays([pair.file for pair in pairs if pair.file and not pair.needed])
                faults = [fault for fault in whole if fault] + strays
                yield pairs, sorted(faults, key=lambda fault: fault.sha256)

    def pairs(self, after: str = "") -> Iterator[Pair]:
        """Every original with a hash above `after` that is needed or there, in the order of hashes."""
        needs, files = self._inventory.originals(after), self._storage.walk(after)
        needed, file = next(needs, None), next(files, None)
        while needed or file:
            if file is None or (needed and needed.sha256 < file.sha256):
                yield Pair(needed, None)
                needed = next(needs, None)
            elif needed is None or file.sha256 < needed.sha256:
                yield Pair(None, file)
                file = next(files, None)
            else:
                yield Pair(needed, file)
                needed, file = next(needs, None), next(files, None)

    def examine(self, pair: Pair) -> Fault | None:
        """The fault of an original that is needed, if it has one."""
        needed = pair.needed
        if needed is None:
            return None
        file = pair.file or self._stat(needed.sha256)
        if file is None:
            # It may have been deleted and collected since its row was read.
            still = bool(self._inventory.needed([needed.sha256]))
            return _fault("missing", needed, None, "the store does not have it") if still else None
        if needed.size is not None and file.size != needed.size:
            return _fault("size", needed, file, f"{file.size} bytes, expected {needed.size}")
        return self._read(needed, file) if self._deep else None

    def _read(self, needed: Needed, file: StoredFile) -> Fault | None:
        try:
            if is_whole(self._storage, needed.sha256, pace=self._pace):
                return None
        except OriginalMissing:
            return self.examine(Pair(needed, None))
        except StorageUnavailable:
            # A store that is away is no fault of this original, and ends the survey.
            self._storage.check()
            return _fault("unreadable", needed, file, "the store cannot read it")
        return _fault("content", needed, file, "other bytes than its hash says")

    def _strays(self, files: Sequence[StoredFile]) -> list[Fault]:
        now = datetime.now(UTC)
        old = [file for file in files if (now - file.modified).total_seconds() > self._grace_s]
        needed = self._inventory.needed([file.sha256 for file in old]) if old else set()
        return [
            Fault(
                "stray",
                file.sha256,
                "no row needs it",
                size=file.size,
                age_s=int((now - file.modified).total_seconds()),
            )
            for file in old
            if file.sha256 not in needed
        ]

    def _stat(self, sha256: str) -> StoredFile | None:
        try:
            return self._storage.stat(sha256)
        except OriginalMissing:
            return None


def _fault(kind: Kind, needed: Needed, file: StoredFile | None, detail: str) -> Fault:
    age_s = int((datetime.now(UTC) - file.modified).total_seconds()) if file else None
    return Fault(kind, needed.sha256, detail, needed.images, needed.image_id, needed.size, age_s)
