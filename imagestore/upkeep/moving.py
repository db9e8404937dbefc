"""Originals from one store to another: for a move, a backup and a restore.

Each is compared with its hash on its way out, and read back and compared again where it has arrived.
What the other store has already, with the right length, is not copied again, so that a run that was
cut off goes on where it was.
"""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from imagestore.errors import OriginalDamaged, OriginalMissing, StorageUnavailable
from imagestore.quarantine import is_whole
from imagestore.storage import Storage
from imagestore.upkeep.batches import batched

BATCH = 200

Outcome = Literal["copied", "present", "gone", "damaged", "unreadable"]
"""New in the other store; there before; not in the first store any more; other bytes than its hash
says, and not copied; an error of the first store for this original alone."""


@dataclass(frozen=True, slots=True)
class Moved:
    """What became of one original; `size` in bytes, None if nobody knows."""

    sha256: str
    size: int | None
    outcome: Outcome

    @property
    def failed(self) -> bool:
        return self.outcome in ("damaged", "unreadable")


class Mover:
    """Copies from `source` to `target` by `copiers` threads, by way of the folder `spool`."""

    def __init__(self, source: Storage, target: Storage, spool: Path, *, copiers: int = 4) -> None:
        self._source = source
        self._target = target
        self._spool = spool
        self._copiers = copiers

    def everything(self) -> Iterator[list[Moved]]:
        """All that the first store has, in the order of hashes, some hundred at a time. Needs one
        listing of both and no further request for what is there already.

        Raises:
            StorageUnavailable, InsufficientStorage: start again later.
        """
        there = self._target.walk()
        other = next(there, None)

        def wishes() -> Iterator[Moved]:
            nonlocal other
            for file in self._source.walk():
                while other and other.sha256 < file.sha256:
                    other = next(there, None)
                same = other is not None and (other.sha256, other.size) == (file.sha256, file.size)
                yield Moved(file.sha256, file.size, "present" if same else "copied")

        return self._carry_out(wishes())

    def these(self, wanted: Iterable[tuple[str, int | None]]) -> Iterator[list[Moved]]:
        """Originals by hash and bytes (None: any), in their order; raises as `everything`."""
        return self._carry_out(
            Moved(sha256, size, "present" if self._has(sha256, size) else "copied") for sha256, size in wanted
        )

    def _carry_out(self, wishes: Iterable[Moved]) -> Iterator[list[Moved]]:
        with ThreadPoolExecutor(self._copiers, thread_name_prefix="mover") as copiers:
            for batch in batched(wishes, BATCH):
                # One that is wished for twice is copied once.
                each = {wish.sha256: wish for wish in reversed(batch)}
                first = copiers.map(self._copy, each.values())
                again = [replace(wish, outcome="present") for wish in batch if each[wish.sha256] is not wish]
                yield [*first, *again]

    def _copy(self, wish: Moved) -> Moved:
        if wish.outcome == "present":
            return wish
        try:
            with self._source.copy(wish.sha256, self._spool) as (path, size):
                self._target.put(wish.sha256, path)
        except OriginalMissing:
            return Moved(wish.sha256, wish.size, "gone")
        except OriginalDamaged:
            return Moved(wish.sha256, wish.size, "damaged")
        except StorageUnavailable:
            # A store that is away ends the work; one file that cannot be read does not.
            self._source.check()
            self._target.check()
            return Moved(wish.sha256, wish.size, "unreadable")
        if not is_whole(self._target, wish.sha256):
            raise StorageUnavailable("the store gives back other bytes than it was given")
        return Moved(wish.sha256, size, "copied")

    def _has(self, sha256: str, size: int | None) -> bool:
        try:
            return size in (None, self._target.size(sha256))
        except OriginalMissing:
            return False
