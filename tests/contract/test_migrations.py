"""Tables of an older version are brought up to date, once, however many do it; MariaDB and SQLite alike."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from imagestore.catalog import SCHEMA, Catalog
from imagestore.migrations import MIGRATIONS
from imagestore.records import Content, Facts
from tests.mariadb import MariaDB

NEWER = """
from peewee import IntegerField

def up(migrator, db):
    migrator.migrate(migrator.add_column("image_info", "newer", IntegerField(default=7)))
"""

SHIPPED = [path.stem for path in sorted(MIGRATIONS.glob("[0-9]*.py"))]

FACTS = Facts(format="png", width=3, height=2)


@pytest.fixture
def newer(tmp_path: Path) -> Path:
    """The migrations of a version to come."""
    folder = tmp_path / "migrations"
    folder.mkdir()
    (folder / "9999_newer.py").write_text(NEWER)
    return folder


def names_and_values(catalog: Catalog) -> tuple[list[str], list[int]]:
    """What was applied, and what the new column holds."""
    database = catalog._database
    names = database.read(lambda db: db.execute_sql("SELECT name FROM schema_migration").fetchall())
    values = database.read(lambda db: db.execute_sql("SELECT newer FROM image_info").fetchall())
    return [name for (name,) in names], [value for (value,) in values]


def insert(catalog: Catalog) -> int:
    content = Content("0" * 64, "0" * 32, 10)
    return catalog.insert("demo", "a.png", content, FACTS, {}, {}).id


def test_newer_version_changes_the_tables_of_an_older_one(database_url: str, newer: Path) -> None:
    with closing(Catalog(database_url)) as older:
        older.prepare()
        image_id = insert(older)

    with closing(Catalog(database_url, migrations=newer)) as catalog:
        catalog.prepare()
        catalog.prepare()

        assert names_and_values(catalog) == ([*SHIPPED, "9999_newer"], [7])
        assert catalog.by_id(image_id) is not None


def test_many_starts_at_once_change_the_tables_once(database_url: str, newer: Path) -> None:
    with closing(Catalog(database_url)) as older:
        older.prepare()
        insert(older)
    together = threading.Barrier(4)

    def start(catalog: Catalog) -> None:
        together.wait()
        catalog.prepare()

    with ExitStack() as stack:
        catalogs = [stack.enter_context(closing(Catalog(database_url, migrations=newer))) for _ in range(4)]
        threads = stack.enter_context(ThreadPoolExecutor(4))
        list(threads.map(start, catalogs))

        assert names_and_values(catalogs[0]) == ([*SHIPPED, "9999_newer"], [7])


def test_older_version_starts_on_newer_tables(database_url: str, newer: Path) -> None:
    with closing(Catalog(database_url)) as catalog:
        catalog.prepare()
    with closing(Catalog(database_url, migrations=newer)) as catalog:
        catalog.prepare()

    with closing(Catalog(database_url)) as older:
        older.prepare()

        assert older.by_id(1) is None


def test_first_start_that_was_cut_off_is_finished(mariadb: MariaDB) -> None:
    with mariadb.database() as name, closing(Catalog(mariadb.url(name))) as catalog:
        catalog.prepare()
        mariadb.execute("DROP TABLE cache_debt", database=name)
        mariadb.execute("DROP TABLE schema_migration", database=name)

        catalog.prepare()

        tables = {table for (table,) in mariadb.execute("SHOW TABLES", database=name)}
        assert {"cache_debt", "schema_migration"} <= tables


def test_schema_names_every_migration() -> None:
    assert [name for name in SHIPPED if f"'{name}'" not in SCHEMA.read_text()] == []
