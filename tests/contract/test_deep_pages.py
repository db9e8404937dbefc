"""A page in the middle of many rows reads its own rows and no others: counted by MariaDB."""

import sqlite3
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from bench.scale import MARIADB_WORDS, SQLITE_WORDS, fill
from imagestore.catalog import Catalog
from imagestore.inventory import Inventory
from imagestore.taskcatalog import TaskCatalog
from imagestore.taskrecords import NewTask, TaskSearch
from tests.mariadb import MariaDB

ROWS = 20_000
LIMIT = 50


SEARCHES = [
    TaskSearch(**which, after=after, newest=newest)
    for which in (
        {},
        {"flag": "failed"},
        {"flag": "failed", "problem": "fetch-failed"},
        {"flag": "failed", "problem": "rare"},
        {"problem": "rare"},
        {"domains": ["many"]},
        {"domains": ["few"]},
        {"domains": ["few", "many"]},
        {"domains": ["few"], "flag": "failed"},
        {"domains": ["many"], "flag": "failed"},
        {"domains": ["few", "many"], "flag": "failed"},
    )
    for after, newest in ((ROWS // 2, False), (ROWS // 2, True), (None, True))
]
"""What no page of has to pass over other tasks."""


def looked_at(mariadb: MariaDB) -> int:
    """Rows and entries of indexes that the server has looked at until now."""
    rows = mariadb.execute("SHOW GLOBAL STATUS LIKE 'Handler%%'")
    names = ("Handler_read", "Handler_icp_attempts")
    return sum(int(count) for name, count in rows if name.startswith(names) and "tmp" not in name)


def test_a_page_looks_at_its_own_rows_alone(mariadb: MariaDB) -> None:
    with (
        mariadb.database() as name,
        closing(Catalog(mariadb.url(name))) as catalog,
        closing(TaskCatalog(mariadb.url(name))) as tasks,
    ):
        catalog.prepare()
        fill(lambda sql: mariadb.execute(sql, database=name), MARIADB_WORDS, ROWS)
        pages = {
            "domain": lambda: catalog.domain_page("many", prefix="", after="19000.jpg", limit=LIMIT),
            "prefix": lambda: catalog.domain_page("many", prefix="19", after="19000.jpg", limit=LIMIT),
            "all": lambda: catalog.page(after=ROWS // 2, limit=LIMIT),
        }
        # One in a thousand is of another domain, and failed for another reason.
        mariadb.execute(
            "UPDATE image_task SET domain = 'few', flag = 'failed', problem = 'rare' WHERE MOD(id, 1000) = 0",
            database=name,
        )
        mariadb.execute("ANALYZE TABLE image_task", database=name)
        tasks.recount(repair=True)
        pages |= {f"tasks {search}": partial(tasks.page, search, limit=LIMIT) for search in SEARCHES}
        for ask in pages.values():
            ask()
        cost = {}
        for what, ask in pages.items():
            before = looked_at(mariadb)
            assert ask(), what
            cost[what] = looked_at(mariadb) - before
        before = looked_at(mariadb)
        assert sum(number for _, _, number in tasks.counts([])) == ROWS
        cost["summary"] = looked_at(mariadb) - before

    assert {what: rows for what, rows in cost.items() if rows > 8 * LIMIT} == {}
    assert cost["summary"] < LIMIT


def test_a_slow_host_with_most_of_the_tasks_hides_no_other(mariadb: MariaDB) -> None:
    with (
        mariadb.database() as name,
        closing(Catalog(mariadb.url(name))) as catalog,
        closing(TaskCatalog(mariadb.url(name))) as tasks,
    ):
        catalog.prepare()
        fill(lambda sql: mariadb.execute(sql, database=name), MARIADB_WORDS, ROWS)
        waits = (
            "UPDATE image_task SET flag = 'created', problem = NULL, end_time = NULL, due_time = create_time"
        )
        mariadb.execute(waits, database=name)
        others = [
            tasks.insert(NewTask("download", "d", url="http://a/", host=f"host-{number}"), queued=False).id
            for number in range(3)
        ]
        mariadb.execute("ANALYZE TABLE image_task", database=name)
        tasks.recount(repair=True)
        before = looked_at(mariadb)

        (waiting,) = tasks.open_tasks()
        found = tasks.turns.due("download", LIMIT, without_hosts=["pictures.example"])

        cost = looked_at(mariadb) - before
    assert waiting.count == ROWS + len(others)
    assert [one.id for one in found] == others
    assert cost < 8 * LIMIT


def test_a_page_of_tasks_looks_at_its_own_rows_alone_in_sqlite(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "images.db"
    with (
        closing(Catalog(f"sqlite:///{path}")) as catalog,
        closing(TaskCatalog(f"sqlite:///{path}")) as tasks,
        closing(sqlite3.connect(path)) as database,
    ):
        catalog.prepare()
        with database:
            fill(database.execute, SQLITE_WORDS | {"sha256": "printf('%064x', n)"}, ROWS)
            few = "SET domain = CAST('few' AS BLOB), flag = 'failed', problem = 'rare' WHERE id % 1000 = 0"
            database.execute(f"UPDATE image_task {few}")
        caplog.set_level("DEBUG", logger="peewee")
        caplog.clear()
        for search in SEARCHES:
            assert tasks.page(search, limit=LIMIT)
        asked = [record.msg for record in caplog.records if "SELECT" in str(record.msg)]
        steps = {sql: hundreds_of_steps(database, sql, values) for sql, values in asked}

    # A row has 41 columns, each of which is a step.
    assert {sql: count for sql, count in steps.items() if count > LIMIT} == {}


def test_what_uploads_wait_with_is_found_by_its_hash_in_sqlite(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "images.db"
    with (
        closing(Catalog(f"sqlite:///{path}")) as catalog,
        closing(Inventory(f"sqlite:///{path}")) as inventory,
        closing(sqlite3.connect(path)) as database,
    ):
        catalog.prepare()
        with database:
            fill(database.execute, SQLITE_WORDS | {"sha256": "printf('%064x', n)"}, ROWS)
            waits = "kind = 'upload', flag = 'created', sha256 = printf('%064x', 1000000 + id)"
            database.execute(f"UPDATE image_task SET {waits}")
        there = [f"{number:064x}" for number in (5, 1_000_005)]
        caplog.set_level("DEBUG", logger="peewee")
        caplog.clear()
        assert inventory.needed([*there, f"{5_000_000:064x}"]) == set(there)
        asked = [record.msg for record in caplog.records if "SELECT" in str(record.msg)]
        steps = [hundreds_of_steps(database, sql, values) for sql, values in asked]

    assert len(steps) == 2
    assert max(steps) < LIMIT


def hundreds_of_steps(database: sqlite3.Connection, sql: str, values: list[object]) -> int:
    """Of SQLite's machine, for all rows of a query."""
    count = [0]

    def step() -> None:
        count[0] += 1

    database.set_progress_handler(step, 100)
    database.execute(sql, values).fetchall()
    database.set_progress_handler(None, 0)
    return count[0]
