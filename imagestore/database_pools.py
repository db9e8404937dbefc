"""Pools of connections to MySQL, MariaDB and SQLite, and what a URL says about one.

Peewee's pool checks a connection with a ping when it hands it out, under a lock that all threads
share, so one that hangs would hold up everybody; the short timeouts and the pause after a hang bound
that to one timeout for all.
"""

import sqlite3
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

import peewee
import pymysql
from playhouse.pool import PooledMySQLDatabase, PooledSqliteDatabase

CONNECT_TIMEOUT_S = 2
"""For the TCP connection; a healthy server in the same network needs milliseconds."""

READ_TIMEOUT_S = 3
"""For one answer. All queries are short, and a 503 has to be out within 5 s."""

LOCK_TIMEOUT_S = 2
"""For a row (InnoDB) or the file (SQLite) that another writer holds; below the read timeout."""

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


def pool_of(url: str) -> tuple[Callable[..., Any], dict[str, Any]]:
    """The pool's class and its options, for `sqlite:///` and `mysql://` or `mariadb://`.

    Raises:
        ValueError: the URL is wrong; one line, whose cause is hidden, since that may quote the password.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError(f"DATABASE_URL cannot be read, {_EXPECTED} (%40 for @ in a password)") from None
    scheme = parts.scheme.removesuffix("+pool")
    if scheme == "sqlite":
        return SQLitePool, _sqlite_options(parts)
    if scheme in ("mysql", "mariadb"):
        return MySQLPool, _mysql_options(parts, port or 3306)
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


class SQLitePool(PooledSqliteDatabase):  # type: ignore[misc]  # playhouse comes without types
    """Peewee's pool, for processes that create the file at the same moment."""

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


class MySQLPool(PooledMySQLDatabase):  # type: ignore[misc]  # playhouse comes without types
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
