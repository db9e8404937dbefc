"""Collection: originals that no row needs any more leave the store.

There is no lock between an upload and a collection. An upload makes the file young, commits its row,
and looks for the file once more (`Storage.assure`). A collection looks at the age, takes the file out
of the store, and asks for rows then. So, if both happen at once, either the collection sees the row and
puts the file back, or the upload sees that the file is gone and puts it again. What a collection that
was cut off has left on the trash shelf is judged by the next one.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from imagestore.errors import OriginalMissing
from imagestore.inventory import Inventory
from imagestore.quarantine import is_whole
from imagestore.records import StoredFile
from imagestore.spool import Spool
from imagestore.storage import Shelf, Storage
from imagestore.upkeep.batches import batched

log = logging.getLogger(__name__)

BATCH = 500
"""Files that leave the store before it is asked whether a row has come; some tenths of a second."""

PLAUSIBLE_SHARE, PLAUSIBLE_COUNT = 0.5, 100
"""A collection of this share of all originals is not doubted, nor is one of this number."""


@dataclass(slots=True)
class Collected:
    """What a collection did, or would do. `examined` originals were looked at; `removed` with `bytes`
    in all are gone; `young` ones without a row wait for the end of the grace period; `restored` were
    needed after all; `leftovers` are temporary files of processes that are gone."""

    examined: int = 0
    removed: int = 0
    bytes: int = 0
    young: int = 0
    restored: int = 0
    leftovers: int = 0


class Collector:
    """Removes what no row needs and what was put more than `grace_s` seconds ago."""

    def __init__(self, inventory: Inventory, storage: Storage, spool: Spool, *, grace_s: float) -> None:
        self._inventory = inventory
        self._storage = storage
        self._spool = spool
        self._grace = timedelta(seconds=grace_s)

    def run(self, *, dry_run: bool = False, limit: int | None = None) -> Iterator[Collected]:
        """Collect, `limit` originals at most; gives how far it is after each step (the same object).

        Raises:
            DatabaseUnavailable, StorageUnavailable: start again later; nothing is lost.
        """
        done = Collected()
        if not dry_run:
            done.leftovers = self._storage.sweep() + self._spool.sweep()
            self._judge_trash(done)
            self._empty_quarantine(done)
        for files in batched(self._storage.walk(), BATCH):
            needed = self._inventory.needed([file.sha256 for file in files])
            unneeded = [file for file in files if file.sha256 not in needed]
            old = [file for file in unneeded if self._is_old(file)]
            done.examined += len(files)
            done.young += len(unneeded) - len(old)
            if limit is not None:
                old = old[: limit - done.removed]
            if dry_run:
                done.removed += len(old)
                done.bytes += sum(file.size for file in old)
            else:
                self._discard(old, done)
            yield done
            if limit is not None and done.removed >= limit:
                break
        yield done

    def doubt(self, beat: Callable[[], object] = lambda: None) -> str | None:
        """Why a collection now may be a mistake, as a sentence; None when it looks right.

        To a database that was made anew, to an old dump of it and to the wrong one most originals look
        unneeded. A store therefore has the name of its database, which is written into it when it is
        empty or the database needs most of it. `beat` is called now and then. Raises as `run` does.
        """
        mine, owners = self._inventory.identity(), self._storage.owners()
        if any(owner not in (None, mine) for owner in owners):
            return "the originals belong to another database"
        would = Collected()
        for so_far in self.run(dry_run=True):
            would = so_far
            beat()
        if would.removed and self._inventory.is_blank():
            return "the database has never had an image"
        if would.removed > max(PLAUSIBLE_COUNT, PLAUSIBLE_SHARE * would.examined):
            return f"no row needs {would.removed} of the {would.examined} stored originals"
        if None in owners and 2 * (would.removed + would.young) <= would.examined:
            self._storage.claim(mine)
        return None

    def claim(self) -> None:
        """Let the store belong to this database from now on, whatever was written into it."""
        self._storage.claim(self._inventory.identity())

    def purge(self, sha256: str) -> bool:
        """Remove one original now, whatever its age, unless a row needs it; whether it is gone.

        Raises:
            DatabaseUnavailable, StorageUnavailable
        """
        if self._inventory.needed([sha256]):
            return False
        self._storage.remove(sha256, ".quarantine")
        try:
            self._storage.shelve(sha256, ".trash")
        except OriginalMissing:
            return True
        return not self._judge([sha256])

    def _discard(self, files: Sequence[StoredFile], done: Collected) -> None:
        taken = []
        for file in files:
            # The age again, since a put that came meanwhile made it young.
            try:
                if self._is_old(self._storage.stat(file.sha256)):
                    self._storage.shelve(file.sha256, ".trash")
                    taken.append(file)
            except OriginalMissing:
                continue
        restored = self._judge([file.sha256 for file in taken])
        gone = [file for file in taken if file.sha256 not in restored]
        done.restored += len(restored)
        done.removed += len(gone)
        done.bytes += sum(file.size for file in gone)
        for file in gone:
            log.info("collected sha256=%s bytes=%d", file.sha256, file.size)

    def _judge_trash(self, done: Collected) -> None:
        for sha256s in self._shelved(".trash"):
            done.restored += len(self._judge(sha256s))

    def _judge(self, sha256s: Sequence[str]) -> set[str]:
        """What of the trash a row needs goes back, the rest goes for good; gives what went back."""
        needed = self._inventory.needed(sha256s)
        for sha256 in sha256s:
            if sha256 in needed:
                self._storage.unshelve(sha256, ".trash")
                log.warning("kept from collection, since a row has come: sha256=%s", sha256)
            else:
                self._storage.remove(sha256, ".trash")
        return needed

    def _empty_quarantine(self, done: Collected) -> None:
        """A damaged original may go when a whole one is in its place, or when no row needs it."""
        for sha256s in self._shelved(".quarantine"):
            needed = self._inventory.needed(sha256s)
            for sha256 in sha256s:
                if sha256 not in needed or self._has_whole(sha256):
                    self._storage.remove(sha256, ".quarantine")
                    done.leftovers += 1

    def _has_whole(self, sha256: str) -> bool:
        try:
            return is_whole(self._storage, sha256)
        except OriginalMissing:
            return False

    def _shelved(self, shelf: Shelf) -> Iterable[Sequence[str]]:
        """What lies there; of the quarantine what is as old as stray files have to be."""
        files = self._storage.shelved(shelf)
        return batched((file.sha256 for file in files if shelf == ".trash" or self._is_old(file)), BATCH)

    def _is_old(self, file: StoredFile) -> bool:
        return datetime.now(UTC) - file.modified > self._grace
