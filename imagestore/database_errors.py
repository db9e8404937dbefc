"""What the errors of the database drivers mean, in the words of `imagestore.errors`."""

import contextlib
import re
import sqlite3
from collections.abc import Iterator

import peewee
from playhouse.pool import MaxConnectionsExceeded

from imagestore.errors import DatabaseUnavailable, ImagestoreError, InsufficientStorage, KeyConflict

Meaning = tuple[type[ImagestoreError], str]


class ConnectionLost(DatabaseUnavailable):
    """The connection ended in the middle; the server itself may be well."""


class Deadlock(DatabaseUnavailable):
    """The server chose our transaction to be rolled back, and expects us to run it again."""


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Raise the domain's error for what can happen to a correct program; the rest is a bug and stays."""
    try:
        yield
    except MaxConnectionsExceeded as error:
        raise DatabaseUnavailable("the database has no free connection") from error
    except peewee.PeeweeException as error:
        # No variable may hold the new error: its traceback would refer to itself, and a cursor in
        # there would live until the garbage collection of some other thread. That one waits, with
        # the interpreter's lock in its hand, until SQLite is done with the cursor's connection
        # (measured: everything stood for the 2 s of a wait for SQLite's write lock).
        meaning = _meaning(error)
        if meaning is None:
            raise
        kind, detail = meaning
        raise kind(detail) from error


_SQLITE_AWAY = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PROTOCOL,
    sqlite3.SQLITE_NOTADB,
}

# https://mariadb.com/kb/en/mariadb-error-codes/ and MySQL 8 "Server Error Message Reference".
_MYSQL_LOST = {0, 1053, 1158, 1159, 1160, 1161, 1317, 1927, 2006, 2013, 2014, 2055, 4031}
_MYSQL_AWAY = {
    *(1040, 1203, 1226),  # too many connections, of all or of this user
    *(1044, 1045, 1049, 1130, 1698),  # the account or the database is not there (yet)
    1146,  # nor is a table: a server that was away at our start is prepared when it answers
    *(1205, 1290, 1792, 1836, 1969, 3024),  # lock or statement timeout; read-only
}
_DEADLOCK = 1213
_DUPLICATE = 1062
_DISK_FULL = {1021, 1114}
_NO_SPACE_LEFT = re.compile(r"(?:errno:|Errcode:|error) 28\b")


def _meaning(error: peewee.PeeweeException) -> Meaning | None:
    cause = getattr(error, "orig", None)
    if isinstance(cause, sqlite3.Error):
        return _sqlite_meaning(cause)
    code = error.args[0] if error.args else None
    if not isinstance(code, int):
        return None
    if code == _DUPLICATE:
        return KeyConflict, "the name already holds an image"
    if code in _DISK_FULL or _NO_SPACE_LEFT.search(str(error)):
        return InsufficientStorage, "the database has no space left"
    if code == _DEADLOCK:
        return Deadlock, "the database is busy with other changes of the same rows"
    if code in _MYSQL_LOST:
        return ConnectionLost, "the connection to the database was lost"
    if code in _MYSQL_AWAY or 2000 <= code < 3000:
        return DatabaseUnavailable, "the database does not answer"
    return None


def _sqlite_meaning(error: sqlite3.Error) -> Meaning | None:
    code = getattr(error, "sqlite_errorcode", None)
    if code == sqlite3.SQLITE_CONSTRAINT_UNIQUE:
        return KeyConflict, "the name already holds an image"
    primary = (code or 0) & 0xFF
    if primary == sqlite3.SQLITE_FULL:
        return InsufficientStorage, "the database has no space left"
    # As 1146 of the others; the code alone (SQLITE_ERROR) may be any fault of a statement.
    if primary in _SQLITE_AWAY or str(error).startswith("no such table:"):
        return DatabaseUnavailable, "the database does not answer"
    return None
