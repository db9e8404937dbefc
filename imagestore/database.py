"""Connections to the database: its URL, the pool, deadlines, retries and the meaning of its errors.

Only `catalog` uses this module. Peewee's pool checks a connection with a ping when it hands it out,
under a lock that all threads share, so one that hangs would hold up everybody; the short timeouts
and the pause after a hang bound that to one timeout for all.
"""

import contextlib
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

import peewee
import pymysql
from playhouse.pool import PooledMySQLDatabase, PooledSqliteDatabase

from imagestore.database_errors import ConnectionLost, Deadlock, translated
from imagestore.errors import DatabaseUnavailable
from imagestore.metrics import change_connections_limit, database_operation

T = TypeVar("T")

Connection = Any
"""A Peewee database whose connection is checked out for this thread; its stubs leave half untyped."""

CONNECT_TIMEOUT_S = 2
"""For the TCP connection; a healthy server in the same network needs milliseconds."""

READ_TIMEOUT_S = 3
"""For one answer. All queries are short, and a 503 has to be out within 5 s."""

LOCK_TIMEOUT_S = 2
"""For a row (InnoDB) or the file (SQLite) that another writer holds; below the read timeout."""

ALONE_TIMEOUT_S = 600
"""How long a process waits for another one that changes the tables."""

STATEMENT_TIMEOUT_S = 3600
"""For a statement that rewrites a table: an hour is a few hundred million rows."""

HANG_S = 1
"""A failure that took longer is a hang, not a refusal: then nobody tries again for this long."""

SQL_MODE = (
    "ONLY_FULL_GROUP_BY,STRICT_TRANS_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,"
    "ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION"
)
"""The default of MySQL 8, set by us since a server in another mode cuts long values silently."""

_TEXT_OPTIONS = ("ssl_ca", "ssl_cert", "ssl_key", "unix_socket")
_SWITCHES = ("ssl_disabled", "ssl_verify_cert", "ssl_verify_identity")
_EXPECTED = "expected sqlite:////absolute/path.db or mysql://user:password@host:port/database"


class Database:
    """A pool of connections to one database.

    `pool_size` connections at most are open, and a call waits up to `timeout_s` seconds for a free
    one. Nothing connects before the first call. Safe for threads; after a fork see `after_fork`.

    Raises:
        ValueError: the URL is wrong; one line, without the URL, since it holds a password.
    """

    def __init__(self, url: str, *, pool_size: int, timeout_s: float) -> None:
        make, options = _address(url)
        self.is_sqlite = make is _SQLitePool
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


class _SQLitePool(PooledSqliteDatabase):  # type: ignore[misc]  # playhouse comes without types
    def _connect(self) -> Any:
        # The change to WAL does not wait for a lock as other statements do (sqlite.org/wal.html §6),
        # so that of processes which open a new database at the same moment one was refused.
        deadline = time.monotonic() + LOCK_TIMEOUT_S
        while True:
            try:
                return super()._connect()
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or time.monotonic() > deadline:
                    raise
                time.sleep(0.02)


class _MySQLPool(PooledMySQLDatabase):  # type: ignore[misc]  # playhouse comes without types
    """Peewee's pool, without its waits for a server that hangs."""

    _silent_until = 0.0

    def _connect(self) -> Any:
        if time.monotonic() < self._silent_until:
            raise peewee.OperationalError(2003, "the server did not answer a moment ago")
        started = time.monotonic()
        try:
            return super()._connect()
        except (pymysql.Error, peewee.PeeweeException):
            if time.monotonic() - started > HANG_S:
                self._silent_until = time.monotonic() + HANG_S
            raise

    def _is_closed(self, connection: Any) -> bool:
        """Peewee's ping takes a hang for a closed connection, and goes on to the next one."""
        started = time.monotonic()
        try:
            connection.ping(reconnect=False)
        except pymysql.Error:
            if time.monotonic() - started > HANG_S:
                raise
            return True
        return False

    def _can_reuse(self, connection: Any) -> bool:
        """Peewee sends a ROLLBACK after each use; the last answer has said whether that is needed."""
        in_transaction = connection.server_status & pymysql.constants.SERVER_STATUS.SERVER_STATUS_IN_TRANS
        return bool(connection.open and not in_transaction)


def _address(url: str) -> tuple[Callable[..., Any], dict[str, Any]]:
    """The pool's class and its options. Errors hide their cause, which may quote the password."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError(f"DATABASE_URL cannot be read, {_EXPECTED} (%40 for @ in a password)") from None
    scheme = parts.scheme.removesuffix("+pool")
    if scheme == "sqlite":
        return _SQLitePool, _sqlite_options(parts)
    if scheme in ("mysql", "mariadb"):
        return _MySQLPool, _mysql_options(parts, port or 3306)
    raise ValueError(f"DATABASE_URL has an unknown scheme, {_EXPECTED}")


def _sqlite_options(parts: SplitResult) -> dict[str, Any]:
    path = unquote(parts.path[1:])
    if parts.netloc or not path.startswith("/") or path.endswith("/") or parts.query:
        raise ValueError("DATABASE_URL names no file, expected sqlite:////absolute/path.db")
    pragmas = {
        # First, since the change to WAL needs a lock too when several processes start at once.
        "busy_timeout": LOCK_TIMEOUT_S * 1000,
        "journal_mode": "wal",
        # In WAL mode, NORMAL may lose the last commits in a power cut.
        "synchronous": "full",
    }
    # IMMEDIATE takes the write lock at BEGIN, where waiting for it is possible.
    return {"database": path, "pragmas": pragmas, "lock_type": "IMMEDIATE", "check_same_thread": False}


def _mysql_options(parts: SplitResult, port: int) -> dict[str, Any]:
    database = unquote(parts.path[1:])
    if not parts.hostname or not parts.username or not database or "/" in database:
        raise ValueError(
            "DATABASE_URL lacks a user, a host or a database, expected mysql://user:password@host:port/database"
        )
    return {
        "database": database,
        "host": parts.hostname,
        "port": port,
        "user": unquote(parts.username),
        "password": unquote(parts.password or ""),
        "connect_timeout": CONNECT_TIMEOUT_S,
        "read_timeout": READ_TIMEOUT_S,
        "write_timeout": READ_TIMEOUT_S,
        "init_command": f"SET SESSION sql_mode='{SQL_MODE}', innodb_lock_wait_timeout={LOCK_TIMEOUT_S}",
        **_driver_options(parts.query),
    }


def _driver_options(query: str) -> dict[str, str | bool]:
    options: dict[str, str | bool] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name in _TEXT_OPTIONS and value:
            options[name] = value
        elif name in _SWITCHES and value in ("true", "false"):
            options[name] = value == "true"
        else:
            known = ", ".join((*_TEXT_OPTIONS, *_SWITCHES))
            raise ValueError(f"DATABASE_URL has a wrong option {name!r}, expected one of {known}")
    return options
