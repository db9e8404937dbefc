"""What the catalog does when the database is away, slow, full or asked in the wrong way."""

import contextlib
import os
import sqlite3
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import peewee
import pymysql
import pytest

from imagestore.catalog import Catalog
from imagestore.database import Database
from imagestore.errors import DatabaseUnavailable, InsufficientStorage
from imagestore.records import Content, Facts, ImageRecord
from tests.mariadb import MYSQL_8_MODE, USER, MariaDB, mariadb_server
from tests.servers import wait_until

CONTENT = Content("5" * 64, "6" * 32, 5)
FACTS = Facts("png", 3, 4)


@pytest.fixture
def name(mariadb: MariaDB) -> Iterator[str]:
    with mariadb.database() as name:
        yield name


@pytest.fixture
def catalog(mariadb: MariaDB, name: str) -> Iterator[Catalog]:
    with closing(Catalog(mariadb.url(name))) as catalog:
        catalog.prepare()
        yield catalog


def put(catalog: Catalog, dkey: str = "a") -> ImageRecord:
    return catalog.insert("d", dkey, CONTENT, FACTS, {}, {})


def connections(mariadb: MariaDB) -> list[int]:
    rows = mariadb.execute("SELECT id FROM information_schema.processlist WHERE user = %s", USER)
    return [number for (number,) in rows]


@contextlib.contextmanager
def other_client(mariadb: MariaDB, database: str) -> Iterator[Any]:
    """A cursor of a transaction that locks what it touches until it is left."""
    connection = pymysql.connect(host="127.0.0.1", port=mariadb.server.port, user="root", database=database)
    with connection, connection.cursor() as cursor:
        yield cursor


def statements(mariadb: MariaDB, call: Callable[[], object]) -> list[str]:
    """What the catalog sends to the server during `call`, pings aside, as the server logs it."""
    mariadb.execute("TRUNCATE mysql.general_log")
    mariadb.execute("SET GLOBAL log_output = 'TABLE', GLOBAL general_log = ON")
    try:
        call()
    finally:
        mariadb.execute("SET GLOBAL general_log = OFF")
    rows = mariadb.execute(
        """SELECT argument FROM mysql.general_log
           WHERE command_type = 'Query' AND user_host LIKE %s ORDER BY event_time""",
        USER + "%",
    )
    return [text for (text,) in rows]


def waiting_for_a_lock(mariadb: MariaDB) -> bool:
    ((_, waits),) = mariadb.execute("SHOW GLOBAL STATUS LIKE 'Innodb_row_lock_current_waits'")
    return int(waits) > 0


def test_by_id_is_one_select(mariadb: MariaDB, catalog: Catalog) -> None:
    record = put(catalog)

    sent = statements(mariadb, lambda: catalog.by_id(record.id))

    assert [text.split()[0] for text in sent] == ["SELECT"]


def test_replace_is_one_transaction_of_three_statements_and_its_entry_in_the_log(
    mariadb: MariaDB, catalog: Catalog
) -> None:
    record = put(catalog)

    sent = statements(mariadb, lambda: catalog.replace(record.id, CONTENT, FACTS, {}, owe=True))

    assert [text.split()[0] for text in sent] == [
        "BEGIN",
        "SELECT",
        "UPDATE",
        "REPLACE",
        "INSERT",
        "COMMIT",
    ]


def test_lookups_and_listings_use_their_index(mariadb: MariaDB, catalog: Catalog, name: str) -> None:
    mariadb.execute(
        """INSERT INTO image_info (domain, dkey, user_metadata, image_metadata, md5sum, sha256, format, width,
                                   height, size, rev, content_time, create_time, update_time)
           SELECT CONCAT('d', seq %% 3), CONCAT('key ', seq), '{}', '{}', MD5(seq %% 100),
                  SHA2(seq %% 100, 256), 'png', 1, 1, 1, 1, NOW(3), NOW(3), NOW(3) FROM seq_1_to_3000""",
        database=name,
    )
    mariadb.execute("ANALYZE TABLE image_info", database=name)

    def index_of(call: Callable[[], object]) -> tuple[str, bool]:
        """The index of the one statement of `call`, and whether its rows had to be sorted."""
        (sent,) = statements(mariadb, call)
        ((*_, kind, _possible, key, _length, _ref, _rows, extra),) = mariadb.execute(
            "EXPLAIN " + sent.replace("%", "%%"), database=name
        )
        assert kind in ("const", "ref", "range"), sent
        return key, "filesort" in extra or "temporary" in extra

    digest = "c4ca4238a0b923820dcc509a6f75849b"  # `printf 1 | md5sum`
    assert index_of(lambda: catalog.by_id(7)) == ("PRIMARY", False)
    assert index_of(lambda: catalog.by_key("d1", "key 7")) == ("name", False)
    assert index_of(lambda: catalog.by_sum(digest)) == ("md5sum", False)
    assert index_of(lambda: catalog.by_sum("5" * 64)) == ("sha256", False)
    assert index_of(lambda: catalog.references("5" * 64)) == ("sha256", False)
    assert index_of(lambda: catalog.page(100, 10)) == ("PRIMARY", False)
    assert index_of(lambda: catalog.domain_page("d1", prefix="", after=None, limit=9)) == ("name", False)
    assert index_of(lambda: catalog.domain_page("d1", prefix="key 1", after="key 12", limit=9)) == (
        "name",
        False,
    )


def test_the_next_call_works_after_a_restart_of_the_server(mariadb: MariaDB, catalog: Catalog) -> None:
    record = put(catalog)
    mariadb.server.stop()

    with pytest.raises(DatabaseUnavailable):
        catalog.by_id(record.id)
    with pytest.raises(DatabaseUnavailable):
        catalog.check()

    mariadb.server.start()
    assert catalog.by_id(record.id) == record
    assert put(catalog, "b").id > record.id


def test_a_hung_server_is_reported_to_all_threads_in_time(mariadb: MariaDB, catalog: Catalog) -> None:
    record = put(catalog)
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(catalog.by_id, [record.id] * 40))

    def wait(number: int) -> float:
        started = time.monotonic()
        with pytest.raises(DatabaseUnavailable):
            catalog.by_id(record.id) if number % 2 else catalog.delete(record.id)
        return time.monotonic() - started

    mariadb.server.pause()
    try:
        with ThreadPoolExecutor(16) as threads:
            longest = max(threads.map(wait, range(16)))
    finally:
        mariadb.server.resume()

    assert longest < 5
    wait_until(lambda: works(catalog), what="the database works again", timeout_s=5)
    assert catalog.by_id(record.id) == record


def works(catalog: Catalog) -> bool:
    with contextlib.suppress(DatabaseUnavailable):
        catalog.check()
        return True
    return False


def test_killed_connections_are_replaced(mariadb: MariaDB, catalog: Catalog) -> None:
    record = put(catalog)
    old = connections(mariadb)

    for number in old:
        mariadb.execute(f"KILL {number}")

    assert catalog.update_user_metadata(record.id, {"x": 1}).rev == 2
    assert set(connections(mariadb)).isdisjoint(old)


def test_a_connection_lost_in_the_middle_of_a_read_is_tried_again(mariadb: MariaDB, name: str) -> None:
    attempts = []

    def work(connection: Any) -> Any:
        attempts.append(connection.execute_sql("SELECT CONNECTION_ID()").fetchone()[0])
        if len(attempts) == 1:
            mariadb.execute(f"KILL {attempts[0]}")
        return connection.execute_sql("SELECT 42").fetchone()

    with closing(Database(mariadb.url(name), pool_size=1, timeout_s=1)) as database:
        assert database.read(work) == (42,)

    assert len(set(attempts)) == 2


def test_a_connection_lost_in_the_middle_of_a_write_is_reported(
    mariadb: MariaDB, catalog: Catalog, name: str
) -> None:
    record = put(catalog)

    with ThreadPoolExecutor(1) as thread, other_client(mariadb, name) as other:
        other.execute("SELECT * FROM image_info FOR UPDATE")
        (connection,) = connections(mariadb)
        pending = thread.submit(catalog.delete, record.id)
        wait_until(lambda: waiting_for_a_lock(mariadb), what="the delete waits")
        mariadb.execute(f"KILL {connection}")
        with pytest.raises(DatabaseUnavailable):
            pending.result()

    assert catalog.by_id(record.id) == record


def test_a_row_that_stays_locked_is_reported(mariadb: MariaDB, catalog: Catalog, name: str) -> None:
    record = put(catalog)

    with other_client(mariadb, name) as other:
        other.execute("SELECT * FROM image_info FOR UPDATE")
        started = time.monotonic()
        with pytest.raises(DatabaseUnavailable):
            catalog.update_user_metadata(record.id, {"x": 1})

    assert time.monotonic() - started < 5
    assert catalog.update_user_metadata(record.id, {"x": 2}).rev == 2


def test_the_loser_of_a_deadlock_tries_again(mariadb: MariaDB, catalog: Catalog, name: str) -> None:
    record = put(catalog)
    others = [put(catalog, f"b{number}") for number in range(50)]
    catalog.update_user_metadata(record.id, {}, owe=True)

    with ThreadPoolExecutor(1) as thread, other_client(mariadb, name) as other:
        # InnoDB rolls the transaction back that has changed less.
        other.execute("UPDATE image_info SET width = 9 WHERE id > %s", (others[0].id,))
        other.execute("SELECT * FROM cache_debt FOR UPDATE")
        pending = thread.submit(catalog.update_user_metadata, record.id, {"x": 1}, owe=True)
        wait_until(lambda: waiting_for_a_lock(mariadb), what="the catalog waits for the debt")
        other.execute("SELECT * FROM image_info WHERE id = %s FOR UPDATE", (record.id,))
        other.connection.commit()
        assert pending.result().rev == 3


def test_an_exhausted_pool_is_reported(mariadb: MariaDB, catalog: Catalog, name: str) -> None:
    record = put(catalog)

    with (
        closing(Catalog(mariadb.url(name), pool_size=1, timeout_s=0.1)) as small,
        ThreadPoolExecutor(1) as thread,
        other_client(mariadb, name) as other,
    ):
        other.execute("SELECT * FROM image_info FOR UPDATE")
        pending = thread.submit(small.delete, record.id)
        wait_until(lambda: waiting_for_a_lock(mariadb), what="the only connection is in use")
        with pytest.raises(DatabaseUnavailable):
            small.check()
        other.connection.rollback()
        assert pending.result() == record


def test_long_values_are_refused_on_a_server_that_would_cut_them(
    mariadb: MariaDB, catalog: Catalog, name: str
) -> None:
    mariadb.execute("SET GLOBAL sql_mode = ''")
    try:
        with closing(Catalog(mariadb.url(name))) as fresh, pytest.raises(peewee.DataError):
            fresh.insert("d" * 17, "a", CONTENT, FACTS, {}, {})
    finally:
        mariadb.execute(f"SET GLOBAL sql_mode = '{MYSQL_8_MODE}'")

    assert catalog.page(0, 10) == []


def test_a_full_mariadb_is_reported_and_stays_readable(tmp_path: Path) -> None:
    tiny = ["--innodb-file-per-table=0", "--innodb-data-file-path=ibdata1:12M:autoextend:max:14M"]
    with mariadb_server(tmp_path, *tiny) as mariadb:
        mariadb.execute("CREATE DATABASE full")
        with closing(Catalog(mariadb.url("full"))) as catalog:
            catalog.prepare()
            record = put(catalog)

            def fill() -> None:
                for number in range(20):
                    catalog.insert("d", str(number), CONTENT, FACTS, {}, {"x": "y" * 1_000_000})

            # MariaDB 10.11 refuses at once; 11.8 lets the statement wait, past our time for an answer.
            refuses = mariadb.execute("SELECT VERSION()")[0][0].startswith("10.")
            with pytest.raises(InsufficientStorage if refuses else DatabaseUnavailable):
                fill()

            assert catalog.by_id(record.id) == record


def test_a_full_sqlite_is_reported_and_stays_writable(tmp_path: Path) -> None:
    def fill(connection: Any) -> None:
        connection.execute_sql("INSERT INTO t VALUES (1)")
        connection.execute_sql("INSERT INTO t VALUES (zeroblob(1000000))")

    with closing(Database(f"sqlite:///{tmp_path}/full.db", pool_size=1, timeout_s=1)) as database:
        database.write(lambda connection: connection.execute_sql("CREATE TABLE t (x)"))
        database.read(lambda connection: connection.execute_sql("PRAGMA max_page_count = 10").fetchall())

        with pytest.raises(InsufficientStorage):
            database.write(fill)

        database.write(lambda connection: connection.execute_sql("INSERT INTO t VALUES (2)"))
        rows = database.read(lambda connection: connection.execute_sql("SELECT x FROM t").fetchall())
        assert rows == [(2,)]


def test_a_locked_sqlite_is_reported_and_stays_readable(tmp_path: Path) -> None:
    with closing(Catalog(f"sqlite:///{tmp_path}/locked.db")) as catalog:
        catalog.prepare()
        record = put(catalog)

        with closing(sqlite3.connect(tmp_path / "locked.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(DatabaseUnavailable):
                catalog.delete(record.id)
            assert catalog.by_id(record.id) == record

        assert catalog.delete(record.id) == record


def test_a_missing_folder_of_sqlite_is_reported(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/missing/catalog.db"

    with closing(Catalog(url)) as catalog, pytest.raises(DatabaseUnavailable):
        catalog.check()


def test_sqlite_keeps_a_commit_through_a_power_cut(tmp_path: Path) -> None:
    with closing(Database(f"sqlite:///{tmp_path}/safe.db", pool_size=1, timeout_s=1)) as database:
        modes = database.read(
            lambda connection: [
                connection.execute_sql(f"PRAGMA {pragma}").fetchone()[0]
                for pragma in ("journal_mode", "synchronous", "busy_timeout")
            ]
        )

    assert modes == ["wal", 2, 2000]  # https://www.sqlite.org/pragma.html#pragma_synchronous: 2 is FULL


@pytest.mark.parametrize("kind", ["sqlite", "mariadb"])
def test_parent_and_child_both_work_after_a_fork(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if kind == "mariadb":
        mariadb: MariaDB = request.getfixturevalue("mariadb")
        url = mariadb.url(request.getfixturevalue("name"))
    else:
        url = f"sqlite:///{tmp_path}/forked.db"
    with closing(Catalog(url)) as catalog:
        catalog.prepare()
        record = put(catalog)

        child = os.fork()
        if child == 0:
            status = 1
            with contextlib.suppress(Exception):
                catalog.after_fork()
                status = 0 if catalog.by_id(record.id) == record and put(catalog, "child") else 2
            os._exit(status)
        in_parent = put(catalog, "parent")
        _, status = os.waitpid(child, 0)

        assert os.waitstatus_to_exitcode(status) == 0
        assert catalog.by_key("d", "parent") == in_parent
        assert catalog.by_key("d", "child") is not None


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("postgres://u:secret@h/db", "scheme"),
        ("u:secret@h/db", "scheme"),
        ("mysql://u:secret@h", "database"),
        ("mysql://u:secret@h/a/b", "database"),
        ("mysql://u:secret@/db", "host"),
        ("mysql://h/db", "user"),
        ("mysql://u:secret/more@h/db", "cannot be read"),
        ("mysql://u:secret@h:99999/db", "cannot be read"),
        ("mysql://u:secret@[h/db", "cannot be read"),
        ("mysql://u:secret@h/db?max_connections=9", "max_connections"),
        ("mysql://u:secret@h/db?ssl_verify_cert=perhaps", "ssl_verify_cert"),
        ("sqlite:///relative.db", "absolute"),
        ("sqlite://", "absolute"),
        ("sqlite:////folder/", "absolute"),
        ("sqlite:////file.db?mode=secret", "absolute"),
    ],
)
def test_a_wrong_url_is_explained_without_its_password(url: str, fault: str) -> None:
    with pytest.raises(ValueError, match=r"^DATABASE_URL ") as caught:
        Catalog(url)

    shown = "".join(traceback.format_exception_only(caught.value))
    assert fault in shown
    assert shown.count("\n") == 1
    assert "secret" not in shown
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.mark.parametrize("scheme", ["mysql", "mysql+pool", "mariadb", "mariadb+pool"])
def test_every_spelling_of_the_scheme_works(mariadb: MariaDB, name: str, scheme: str) -> None:
    with closing(Catalog(mariadb.url(name).replace("mysql", scheme) + "?ssl_disabled=true")) as catalog:
        catalog.check()


def test_many_that_open_a_new_sqlite_file_at_once_all_get_in(tmp_path: Path) -> None:
    for number in range(20):
        catalogs = [Catalog(f"sqlite:///{tmp_path}/{number}.db") for _ in range(6)]
        together = threading.Barrier(len(catalogs))

        def prepare(catalog: Catalog, together: threading.Barrier = together) -> None:
            together.wait()
            catalog.prepare()
            catalog.close()

        with ThreadPoolExecutor(len(catalogs)) as threads:
            list(threads.map(prepare, catalogs))
        opened = Catalog(f"sqlite:///{tmp_path}/{number}.db")

        assert opened.page(0, 10) == []
        opened.close()


@pytest.mark.parametrize("kind", ["mysql", "sqlite"])
def test_tables_that_are_not_there_yet_are_unavailable(
    mariadb: MariaDB, name: str, tmp_path: Path, kind: str
) -> None:
    """On a slow first start the thread that looks for owed records asked before there were tables: on
    SQLite it ended by that, and no record was ever paid by this process."""
    url = mariadb.url(name) if kind == "mysql" else f"sqlite:///{tmp_path / 'new.db'}"
    with closing(Catalog(url)) as catalog:
        with pytest.raises(DatabaseUnavailable):
            catalog.debts(1)

        catalog.prepare()

        assert catalog.debts(1) == []
