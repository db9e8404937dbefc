"""What an import has done so far, in a file beside its source: so that it can go on after a break."""

import json
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from imagestore.errors import ImagestoreError, InvalidRequest

STORED, KNOWN, FETCHING, WARNING, FAILED = "stored", "known", "fetching", "warning", "failed"
"""New in the store; there already; a URL whose task has not ended; stored with a remark; not stored."""

WRITES_AT_ONCE = 100
"""Outcomes in one transaction; a power cut loses no more, and doing them again changes nothing."""


class JournalInUse(ImagestoreError):
    """Another import has this journal."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How it went with one entry. `size` (bytes) and `mtime_ns` are those of a file then."""

    key: str
    source: str
    state: str
    size: int | None = None
    mtime_ns: int | None = None
    image_id: int | None = None
    task_id: int | None = None
    problem: str | None = None
    detail: str | None = None

    def report(self) -> dict[str, object]:
        """As a row of a report."""
        return {name: getattr(self, name) for name in REPORT_COLUMNS}


COLUMNS = tuple(Outcome.__slots__)
REPORT_COLUMNS = ("source", "state", "problem", "detail", "image_id", "task_id")


class Journal:
    """The outcomes of one import, by entry; in a file, so that a million take no memory.

    Args:
        path: the file; made when it is not there.
        purpose: what the import is: server, domain. A journal is good for one.

    Raises:
        InvalidRequest: it belongs to an import with another purpose, or is no journal.
        JournalInUse: another process works with it.
        OSError: it cannot be made.
    """

    def __init__(self, path: Path, purpose: Mapping[str, str]) -> None:
        self.path = path
        # sqlite3 does not say why; this does.
        path.open("ab").close()
        self._database = sqlite3.connect(path, timeout=0.2, isolation_level=None)
        self._unwritten = 0
        try:
            self._database.execute("PRAGMA locking_mode=EXCLUSIVE")
            self._database.execute("BEGIN EXCLUSIVE")
            self._database.execute("CREATE TABLE IF NOT EXISTS purpose (text TEXT)")
            self._database.execute(
                "CREATE TABLE IF NOT EXISTS outcomes (key TEXT PRIMARY KEY, source TEXT, state TEXT,"
                " size INTEGER, mtime_ns INTEGER, image_id INTEGER, task_id INTEGER,"
                " problem TEXT, detail TEXT, run INTEGER) WITHOUT ROWID"
            )
            # Few entries fetch or fail; this finds them among a million that do not.
            self._database.execute(
                "CREATE INDEX IF NOT EXISTS notable ON outcomes (state, task_id) WHERE state != 'stored'"
            )
            self._check(json.dumps(purpose, sort_keys=True))
            (run,) = self._database.execute("SELECT COALESCE(MAX(run), 0) + 1 FROM outcomes").fetchone()
            self._run: int = run
        except sqlite3.OperationalError as error:
            self._database.close()
            raise JournalInUse(f"another import works with the journal {path}") from error
        except sqlite3.DatabaseError as error:
            self._database.close()
            raise InvalidRequest(f"{path} is no journal of an import") from error
        except InvalidRequest:
            self._database.close()
            raise

    def _check(self, purpose: str) -> None:
        row = self._database.execute("SELECT text FROM purpose").fetchone()
        if row is None:
            self._database.execute("INSERT INTO purpose VALUES (?)", [purpose])
        elif row[0] != purpose:
            raise InvalidRequest(
                f"the journal {self.path} is of another import, {row[0]}; name another one with --journal"
            )

    def get(self, key: str) -> Outcome | None:
        """What is known of an entry."""
        query = f"SELECT {', '.join(COLUMNS)} FROM outcomes WHERE key = ?"  # noqa: S608 - names of ours
        row = self._database.execute(query, [key]).fetchone()
        return Outcome(*row) if row else None

    def put(self, outcome: Outcome) -> None:
        """Note an outcome, in the place of an older one."""
        values = [*(getattr(outcome, name) for name in COLUMNS), self._run]
        marks = ", ".join("?" for _ in values)
        self._database.execute(f"INSERT OR REPLACE INTO outcomes VALUES ({marks})", values)  # noqa: S608 - marks
        self._unwritten += 1
        if self._unwritten >= WRITES_AT_ONCE:
            self.flush()

    def in_state(self, *states: str) -> Iterator[Outcome]:
        """All outcomes of these states, in the order of their tasks. They may be replaced meanwhile."""
        for state in states:
            last = (-1, "")
            while rows := self._database.execute(
                f"SELECT {', '.join(COLUMNS)} FROM outcomes"  # noqa: S608 - names of ours
                " WHERE state = ? AND (COALESCE(task_id, 0), key) > (?, ?)"
                " ORDER BY COALESCE(task_id, 0), key LIMIT 500",
                [state, *last],
            ).fetchall():
                for row in rows:
                    outcome = Outcome(*row)
                    yield outcome
                last = (outcome.task_id or 0, outcome.key)

    def forget_older_failures(self) -> None:
        """Drop failures that this run did not come across: their entries are in the source no more."""
        self._database.execute("DELETE FROM outcomes WHERE state = ? AND run < ?", [FAILED, self._run])

    def counts(self) -> dict[str, int]:
        """How many outcomes there are of each state."""
        return dict(self._database.execute("SELECT state, COUNT(*) FROM outcomes GROUP BY state"))

    def flush(self) -> None:
        """Write what is noted to the disk."""
        self._commit()
        self._database.execute("BEGIN EXCLUSIVE")
        self._unwritten = 0

    def close(self) -> None:
        """Write and let go of the file."""
        self._commit()
        self._database.close()

    def _commit(self) -> None:
        # Ctrl-C may have come between the end of one transaction and the beginning of the next.
        if self._database.in_transaction:
            self._database.execute("COMMIT")
