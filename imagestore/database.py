"""The database: reads, transactions, and statements that have it to themselves; the catalogs' alone."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import peewee

from imagestore.database_errors import ConnectionLost, Deadlock, translated
from imagestore.database_pools import HANG_S, LOCK_TIMEOUT_S, SQLitePool, pool_of
from imagestore.errors import DatabaseUnavailable
from imagestore.metrics import change_connections_limit, database_operation

T = TypeVar("T")

Connection = Any
"""A Peewee database whose connection is checked out for this thread; its stubs leave half untyped."""

ALONE_TIMEOUT_S = 600
"""How long a process waits for another one that changes the tables."""

STATEMENT_TIMEOUT_S = 3600
"""For a statement that rewrites a table: an hour is a few hundred million rows."""


def at(column: Any, value: str, *, is_sqlite: bool) -> Any:
    """Where `column` has that value, for a page that begins within an index that has more columns.

    MariaDB 10.11 prefers an equality to the range behind it, and goes through all rows of a domain from
    the first one on (177,000 entries for a page of 100 in the middle of 200,000, 2026-11). It sees that
    two bounds are one point; SQLite does not.
    """
    return column == value if is_sqlite else (column >= value) & (column <= value)


class Database:
    """A pool of connections to one database.

    `pool_size` connections at most are open, and a call waits up to `timeout_s` seconds for a free
    one. Nothing connects before the first call. Safe for threads; after a fork see `after_fork`.

    Raises:
        ValueError: the URL is wrong; one line, without the URL, since it holds a password.
    """

    def __init__(self, url: str, *, pool_size: int, timeout_s: float) -> None:
        make, options = pool_of(url)
        self.is_sqlite = make is SQLitePool
        self._make_patient: Callable[[], Any] = lambda: make(**_patient(options))
        self._make_pool: Callable[[], Any] = lambda: make(
            max_connections=pool_size, timeout=timeout_s, **options
        )
        self._pool = self._make_pool()
        self._inherited: list[Any] = []
        self._writing = threading.Lock()
        self._size = pool_size
        change_connections_limit(pool_size)

    def read(self, work: Callable[[Connection], T]) -> T:
        """Run `work` on a connection of the pool, and once more if the connection was lost.

        Raises:
            DatabaseUnavailable: no connection or no answer in time.
        """
        started = time.monotonic()
        with database_operation("read"):
            try:
                return self._run(work)
            except ConnectionLost:
                if time.monotonic() - started > HANG_S:
                    raise
                return self._run(work)

    def write(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in one transaction; what it gives is committed.

        A lost connection is never tried again here, since the commit may have arrived. A deadlock
        is, up to three times in all: the server has rolled everything back.

        Raises:
            DatabaseUnavailable: no connection, no lock or no answer in time.
            InsufficientStorage: the database's disk is full.
            KeyConflict: a unique key has that value already.
        """
        with database_operation("write"), self._turn():
            for _ in range(2):
                with contextlib.suppress(Deadlock):
                    return self._run(work, _transaction)
            return self._run(work, _transaction)

    def describe(self, work: Callable[[Connection], T]) -> T:
        """Run `work`, which asks the database nothing but what kind it is; nothing connects."""
        return work(self._pool)

    def load(self, script: str) -> None:
        """Run SQL statements, each of which ends with a semicolon at a line's end.

        Each is committed by itself, as MySQL does with all statements that define tables.
        """
        lines = [line for line in script.splitlines() if not line.startswith("--")]
        statements = "\n".join(lines).replace("%", "%%").split(";\n")
        self._run(lambda database: [database.execute_sql(one) for one in statements if one.strip()])

    def alone(self, work: Callable[[Connection], T]) -> T:
        """Run `work` while no other process does so, on a connection whose statements may take an hour.

        SQLite undoes all of it when `work` fails; MySQL commits statements that define tables at once.

        Raises:
            DatabaseUnavailable: no connection, or another process has not finished in ten minutes.
        """
        # A server that hangs is noticed here, in seconds.
        self.read(lambda database: database.execute_sql("SELECT 1").fetchone())
        patient = self._make_patient()
        lock = patient.atomic("IMMEDIATE") if self.is_sqlite else _named_lock(patient)
        try:
            with translated(), patient.connection_context(), lock:
                return work(patient)
        finally:
            patient.close_all()

    def snapshot(self, work: Callable[[Connection], T]) -> T:
        """Run `work`, which only reads, on a connection that sees one moment of the database, for as
        long as it takes; nobody has to wait for it.

        Raises:
            DatabaseUnavailable: no connection or no answer in time.
        """
        self.read(lambda database: database.execute_sql("SELECT 1").fetchone())
        patient = self._make_patient()
        try:
            with translated(), patient.connection_context():
                if self.is_sqlite:
                    # The first look decides which moment it is (sqlite.org/isolation.html).
                    patient.execute_sql("BEGIN DEFERRED")
                    patient.execute_sql("SELECT COUNT(*) FROM sqlite_master").fetchone()
                else:
                    patient.execute_sql("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
                    patient.execute_sql("START TRANSACTION WITH CONSISTENT SNAPSHOT")
                try:
                    return work(patient)
                finally:
                    patient.execute_sql("ROLLBACK")
        finally:
            patient.close_all()

    def close(self) -> None:
        """Close all connections."""
        self._pool.close_all()
        change_connections_limit(-self._size)
        self._size = 0

    def after_fork(self) -> None:
        """Forget the parent's connections, in the child.

        They stay referenced and open: closing them here would end the parent's session (MySQL) or
        may drop its locks (https://www.sqlite.org/howtocorrupt.html §2.6).
        """
        self._inherited.append(self._pool)
        self._pool = self._make_pool()
        self._writing = threading.Lock()

    @contextlib.contextmanager
    def _turn(self) -> Iterator[None]:
        """Let one thread write at a time, if this is SQLite.

        SQLite does so anyway, but its own wait sleeps between tries, so that some threads would
        come too late although the lock was free again and again.
        """
        if not self.is_sqlite:
            yield
            return
        if not self._writing.acquire(timeout=LOCK_TIMEOUT_S):
            raise DatabaseUnavailable("the database is busy with other changes")
        try:
            yield
        finally:
            self._writing.release()

    def _run(
        self,
        work: Callable[[Connection], T],
        frame: Callable[[Connection], contextlib.AbstractContextManager[None]] | None = None,
    ) -> T:
        pool = self._pool
        with translated(), pool.connection_context(), frame(pool) if frame else contextlib.nullcontext():
            return work(pool)


@contextlib.contextmanager
def _named_lock(database: Connection) -> Iterator[None]:
    # The server gives it up by itself when the connection ends.
    name = f"imagestore {database.database}"[:64]
    if database.execute_sql("SELECT GET_LOCK(%s, %s)", (name, ALONE_TIMEOUT_S)).fetchone() != (1,):
        raise peewee.OperationalError(1205, "another process is changing the tables")
    try:
        yield
    finally:
        with contextlib.suppress(peewee.PeeweeException):
            database.execute_sql("SELECT RELEASE_LOCK(%s)", (name,)).fetchone()


def _patient(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options of a connection for statements that rewrite whole tables."""
    if "pragmas" in options:
        return {**options, "pragmas": {**options["pragmas"], "busy_timeout": ALONE_TIMEOUT_S * 1000}}
    return {**options, "read_timeout": STATEMENT_TIMEOUT_S, "write_timeout": STATEMENT_TIMEOUT_S}


@contextlib.contextmanager
def _transaction(database: Connection) -> Iterator[None]:
    database.begin()
    try:
        yield
        database.commit()
    except BaseException:
        # The first error counts: after some of them (a lost connection; a full disk under SQLite)
        # nothing is open any more, and the rollback fails.
        with contextlib.suppress(peewee.PeeweeException):
            database.rollback()
        raise
