"""Backup and restore of the whole: database, originals, and the secrets of the data directory.

A backup is a folder: `databases/<moment>/` (dumpfile.py), `originals/` (a store as any other, shared by
all dumps, so that a second backup copies what is new) and `secrets/`.

The dump comes first and the originals that its rows need after it: a file outlives its row by the grace
period, so that all are there. Only a purge may be faster; then the dump is made anew.
"""

import contextlib
import fcntl
import os
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from imagestore.errors import InvalidRequest
from imagestore.inventory import Inventory
from imagestore.storage import Storage, open_storage
from imagestore.tabledump import Row, Tables
from imagestore.upkeep.dumpfile import Dump
from imagestore.upkeep.moving import Moved, Mover

SECRETS = ("api-key", "callback-secret", "dashboard-password")
"""Files of the data directory that no other copy is likely to have."""

_ROUNDS = 5


@dataclass(slots=True)
class Progress:
    """How far it is: `done` rows were looked at; `copied` originals with `bytes` in all are new.
    `faults` are originals that could not be copied."""

    dump: Dump | None = None
    done: int = 0
    copied: int = 0
    bytes: int = 0
    faults: list[Moved] = field(default_factory=list)

    def count(self, batch: list[Moved]) -> list[str]:
        """Add a batch; gives the hashes of those that were not there."""
        self.done += len(batch)
        for moved in batch:
            if moved.outcome == "copied":
                self.copied += 1
                self.bytes += moved.size or 0
        # Rows that share an original say it more than once.
        self.faults += [moved for moved in set(batch) if moved.failed and moved not in self.faults]
        return [moved.sha256 for moved in batch if moved.outcome == "gone"]


class Backup:
    """The backup in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._databases = folder / "databases"
        self._spool = folder / "spool"

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Work on the folder while no other process does: two backups would share a draft, and one that
        prunes would remove what another one has just copied.

        Raises:
            InvalidRequest: another backup or restore is at work there.
            OSError: the folder cannot be made.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(self._folder, os.O_RDONLY)
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise InvalidRequest("another backup or restore is at work in this folder") from error
            yield
        finally:
            os.close(handle)

    @contextlib.contextmanager
    def originals(self) -> Iterator[Storage]:
        """Its store.

        Raises:
            ValueError: the folder cannot be used.
        """
        url = str((self._folder / "originals").absolute())
        with contextlib.closing(open_storage(url, spool_dir=self._spool)) as storage:
            yield storage

    def make(
        self, tables: Tables, inventory: Inventory, storage: Storage, data_dir: Path
    ) -> Iterator[Progress]:
        """Add a dump and the originals that are new; gives how far it is (the same object) after each step.

        Raises:
            DatabaseUnavailable, StorageUnavailable, InsufficientStorage, OSError: the older dumps are
                whole, and what was copied stays; start again.
        """
        progress = Progress()
        with self.originals() as copies:
            self._folder.chmod(0o700)
            for _ in range(_ROUNDS):
                progress.dump = dump = Dump.write(tables, self._databases)
                progress.faults = []
                gone: list[str] = []
                for batch in Mover(storage, copies, self._spool).these(dump.originals()):
                    gone += progress.count(batch)
                    yield progress
                needed = inventory.needed(gone)
                progress.faults += [Moved(sha256, None, "gone") for sha256 in sorted(needed)]
                if needed.issuperset(gone):
                    break
        progress.dump = dump.publish()
        _copy_files(data_dir, self._folder / "secrets", replace=True)
        yield progress

    def prune(self, keep: int) -> int:
        """Remove all but the newest `keep` dumps, and the originals that none of those needs; how many
        originals."""
        dumps = Dump.all(self._databases)
        for old in dumps[:-keep]:
            old.remove()
        index = self._spool / "needed.db"
        index.unlink(missing_ok=True)
        removed = 0
        with contextlib.closing(sqlite3.connect(index)) as needed, self.originals() as copies:
            needed.execute("CREATE TABLE needed (sha256 TEXT PRIMARY KEY) WITHOUT ROWID")
            for dump in dumps[-keep:]:
                rows = ((sha256,) for sha256, _ in dump.originals())
                needed.executemany("INSERT OR IGNORE INTO needed VALUES (?)", rows)
            for file in copies.walk():
                if not needed.execute("SELECT 1 FROM needed WHERE sha256 = ?", (file.sha256,)).fetchone():
                    copies.remove(file.sha256)
                    removed += 1
        index.unlink()
        return removed

    def restore(
        self, tables: Tables, storage: Storage, spool: Path, data_dir: Path, moment: str | None = None
    ) -> Iterator[Progress]:
        """Put the newest dump (or that of `moment`) and its originals into an empty database and a store.

        Originals first, then all rows at once, so that no row lacks its file at any time. Tasks that had
        not ended start over. Secrets are put where there are none.

        Raises:
            InvalidRequest: there is no such dump, it cannot be used, or the database is not empty.
        """
        dump = self._choose(moment)
        dump.check()
        if not tables.are_empty():
            raise InvalidRequest("the database has images or tasks already, expected an empty one")
        progress = Progress(dump)
        with self.originals() as copies:
            for batch in Mover(copies, storage, spool).these(dump.originals()):
                progress.faults += [Moved(sha256, None, "gone") for sha256 in progress.count(batch)]
                yield progress
        tables.fill(lambda table: _restored(dump, table))
        _copy_files(self._folder / "secrets", data_dir, replace=False)
        yield progress

    def _choose(self, moment: str | None) -> Dump:
        dumps = Dump.all(self._databases)
        chosen = [dump for dump in dumps if moment in (None, dump.created)]
        if not chosen:
            there = ", ".join(dump.created for dump in dumps) or "none"
            raise InvalidRequest(f"there is no such dump in the backup, there are: {there}")
        return chosen[-1]


def _restored(dump: Dump, table: str) -> Iterator[Row]:
    rows = dump.rows(table)
    return map(_waiting_again, rows) if table == "image_task" else rows


def _waiting_again(row: Row) -> Row:
    """A task of a worker or a queue that is not there any more."""
    if row["flag"] != "created":
        return {**row, "callback_queued": False}
    now = datetime.now(UTC).isoformat()
    return {**row, "claim": None, "queued_time": None, "due_time": now, "callback_queued": False}


def _copy_files(source: Path, target: Path, *, replace: bool) -> None:
    for name in SECRETS:
        if (source / name).is_file() and (replace or not (target / name).exists()):
            target.mkdir(mode=0o700, parents=True, exist_ok=True)
            fresh = target / f".{name}.new"
            with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                file.write((source / name).read_bytes())
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(target / name)
