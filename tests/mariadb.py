"""A real MariaDB for the tests, in MySQL 8's default SQL mode, on a free loopback port."""

import contextlib
import itertools
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pymysql

from tests.servers import Server, free_port, program

USER = "image store"
PASSWORD = "p@ss:w/rd%?#"
"""With everything in it that a URL must encode."""

MYSQL_8_MODE = (
    "ONLY_FULL_GROUP_BY,STRICT_TRANS_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,"
    "ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION"
)
"""https://dev.mysql.com/doc/refman/8.0/en/sql-mode.html, "The default SQL mode in MySQL 8.0"."""

# Small and fast; a test loses nothing in a power cut.
_INNODB = [
    "--innodb-buffer-pool-size=16M",
    "--innodb-log-file-size=4M",
    "--innodb-flush-log-at-trx-commit=0",
    "--innodb-flush-method=nosync",
]


@dataclass
class MariaDB:
    """A running server and an administrator's way into it."""

    server: Server
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def url(self, database: str) -> str:
        """`database` as a DATABASE_URL."""
        return f"mysql://{quote(USER)}:{quote(PASSWORD, safe='')}@127.0.0.1:{self.server.port}/{database}"

    def execute(self, sql: str, *values: Any, database: str | None = None) -> list[tuple[Any, ...]]:
        """Run one statement as root on a connection of its own, and give its rows."""
        connection = pymysql.connect(
            host="127.0.0.1", port=self.server.port, user="root", database=database, autocommit=True
        )
        with connection, connection.cursor() as cursor:
            cursor.execute(sql, values)
            return list(cursor.fetchall())

    @contextlib.contextmanager
    def database(self) -> Iterator[str]:
        """A fresh and empty database; its name. In latin1, so that tables must say what they need."""
        name = f"test_{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name} CHARACTER SET latin1")
        try:
            yield name
        finally:
            self.execute(f"DROP DATABASE {name}")


@contextlib.contextmanager
def mariadb_server(folder: Path, *options: str) -> Iterator[MariaDB]:
    """A MariaDB with its data in `folder`; it starts in about two seconds."""
    folder.mkdir(parents=True, exist_ok=True)
    # mariadbd refuses to run as root unless told.
    common = ["--no-defaults", f"--datadir={folder / 'data'}", *_INNODB]
    common += ["--user=root"] if os.geteuid() == 0 else []
    install = [program("mariadb-install-db"), *common, "--auth-root-authentication-method=normal"]
    with (folder / "install.log").open("wb") as log:
        subprocess.run([*install, "--skip-test-db", *options], stdout=log, stderr=log, check=True)
    port = free_port()
    command = [program("mariadbd"), *common, f"--port={port}", "--bind-address=127.0.0.1"]
    command += [f"--socket={folder / 'socket'}", f"--pid-file={folder / 'pid'}", "--skip-log-bin"]
    command += ["--performance-schema=OFF", f"--sql-mode={MYSQL_8_MODE}", *options]
    mariadb = MariaDB(Server(command, port, folder / "mariadbd.log").start())
    try:
        mariadb.execute("CREATE USER %s@'127.0.0.1' IDENTIFIED BY %s", USER, PASSWORD)
        mariadb.execute("GRANT ALL ON *.* TO %s@'127.0.0.1'", USER)
        yield mariadb
    finally:
        mariadb.server.stop()
