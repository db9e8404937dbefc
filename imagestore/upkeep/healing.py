"""Healing: a missing or damaged original gets its right bytes back, if anybody has them.

What is put back was compared with the hash first; a damaged copy is never removed for it.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from io import BytesIO
from itertools import chain
from typing import BinaryIO

from imagestore.cache import Cache
from imagestore.errors import OriginalDamaged, OriginalMissing, PayloadTooLarge
from imagestore.identity import ORIGINAL_FIELD
from imagestore.inventory import Inventory
from imagestore.quarantine import seize
from imagestore.spool import Spool
from imagestore.storage import Shelf, Storage
from imagestore.taskcatalog import TaskCatalog
from imagestore.taskrecords import NewTask
from imagestore.upkeep.survey import Fault

log = logging.getLogger(__name__)

SHELVES: tuple[Shelf, ...] = (".quarantine", ".trash")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was done about a fault, and whether the original is whole again by it."""

    text: str
    mended: bool


class Healer:
    """`others` are stores that may have copies: a backup, for instance."""

    def __init__(
        self,
        inventory: Inventory,
        storage: Storage,
        cache: Cache,
        tasks: TaskCatalog,
        spool: Spool,
        others: Sequence[Storage] = (),
    ) -> None:
        self._inventory = inventory
        self._storage = storage
        self._cache = cache
        self._tasks = tasks
        self._spool = spool
        self._others = others

    def heal(self, fault: Fault, *, download: bool = True) -> Outcome:
        """Do what can be done about a fault of an original that is needed. What is damaged goes into
        quarantine first. `download` allows a task for the URL that it came from.

        Raises:
            DatabaseUnavailable, StorageUnavailable, InsufficientStorage
        """
        # Before the damage is put away, and the pictures with it.
        cached = self._cache.picture(fault.sha256, ORIGINAL_FIELD)
        if fault.kind in ("size", "content"):
            seize(self._storage, self._cache, fault.sha256)
            with suppress(OriginalMissing):
                # Another store has it whole still, or an upload was faster.
                self._storage.stat(fault.sha256)
                return Outcome("a whole copy is in its place", True)
        in_memory = [("Redis", _opened(cached.picture.body))] if cached else []
        for where, copy in chain(in_memory, self._copies(fault.sha256)):
            if self._put(fault.sha256, copy):
                log.warning("healed from %s: sha256=%s", where, fault.sha256)
                return Outcome(f"healed from {where}", True)
        return self._download_again(fault) if download else Outcome("no copy found", False)

    def _copies(self, sha256: str) -> Iterator[tuple[str, AbstractContextManager[BinaryIO]]]:
        for shelf in SHELVES:
            # What was taken for damaged may be whole: a disk that gave wrong bytes once.
            with suppress(OriginalMissing):
                yield f"the shelf {shelf[1:]}", self._storage.read(sha256, shelf)
        for other in self._others:
            with suppress(OriginalMissing):
                yield "the other store", other.read(sha256)

    def _put(self, sha256: str, copy: AbstractContextManager[BinaryIO]) -> bool:
        try:
            with copy as stream, self._spool.receive(stream, max_bytes=2**40) as spooled:
                if spooled.content.sha256 != sha256:
                    return False
                self._storage.put(sha256, spooled.path)
                return True
        except (OriginalMissing, OriginalDamaged, PayloadTooLarge):
            return False

    def _download_again(self, fault: Fault) -> Outcome:
        origin = self._inventory.origin(fault.sha256)
        if origin is None:
            return Outcome("no copy found", False)
        # Without `overwrite`: if the URL has other bytes by now, the task fails and changes nothing.
        task = NewTask("download", origin.domain, origin.dkey, url=origin.url, host=origin.host)
        record = self._tasks.insert(task, queued=False)
        return Outcome(f"task {record.id} downloads it again", False)


@contextmanager
def _opened(body: bytes) -> Iterator[BinaryIO]:
    yield BytesIO(body)
