"""A database of the first version, with rows in it, becomes one of this version: the same tables as a
new one has, and everything that was there.

`first_version.*sql` are its tables as it made them; they stay as they are.
"""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from imagestore.auditcatalog import AuditCatalog
from imagestore.catalog import Catalog
from imagestore.keycatalog import KeyCatalog
from imagestore.models import TABLES
from imagestore.taskcatalog import TaskCatalog
from imagestore.usagecatalog import UsageCatalog
from tests.contract.test_schema import columns, indexes
from tests.mariadb import MariaDB

FIRST = Path(__file__).parent

# Domains and dkeys as their bytes: cats/tom, cats/kit, dogs/rex.
NOW = "'2026-01-02 03:04:05.678'"
SAME = f"'png', 3, 2, 100, 1, {NOW}, {NOW}, {NOW}"
IMAGES = f"""
INSERT INTO image_info (domain, dkey, user_metadata, image_metadata, md5sum, sha256, format, width, height,
    size, rev, content_time, create_time, update_time) VALUES
(X'63617473', X'746f6d', '{{"a":1}}', '{{}}', '{"0" * 32}', '{"0" * 64}', {SAME}),
(X'63617473', X'6b6974', '{{}}', '{{}}', '{"1" * 32}', '{"1" * 64}', {SAME}),
(X'646f6773', X'726578', '{{}}', '{{}}', '{"0" * 32}', '{"0" * 64}', {SAME})
"""
TASK = f"""
INSERT INTO image_task (kind, domain, url, url_md5, host, metadata, overwrite, flag, attempts, deaths,
    progress, callback_attempts, callback_queued, due_time, create_time, update_time) VALUES
('download', X'63617473', 'http://a.example/', '{"2" * 32}', 'a.example', '{{}}', 0, 'created', 0, 0,
    '{{}}', 0, 0, {NOW}, {NOW}, {NOW})
"""


def shape(path: Path) -> dict[str, Any]:
    """Columns and indexes of each table of an SQLite database, without the order of columns."""
    with closing(sqlite3.connect(path)) as database:
        tables = [model._meta.table_name for model in TABLES]  # type: ignore[attr-defined]  # Peewee's own
        found: dict[str, Any] = {}
        for table in tables:
            fields = {tuple(row[1:]) for row in database.execute(f"PRAGMA table_info({table})")}
            keys = {
                (unique, tuple(name for _, _, name in database.execute(f"PRAGMA index_info({index})")))
                for _, index, unique, *_ in database.execute(f"PRAGMA index_list({table})")
            }
            found[table] = (fields, keys)
        return found


def check_rows(url: str) -> None:
    """What was there is there, and what is new works on it."""
    with (
        closing(Catalog(url)) as catalog,
        closing(TaskCatalog(url)) as tasks,
        closing(KeyCatalog(url)) as keys,
    ):
        catalog.prepare()
        image, task = catalog.by_key("cats", "tom"), tasks.by_id(1)

        assert image is not None
        assert image.user_metadata == {"a": 1}
        assert task is not None
        assert task.url == "http://a.example/"
        assert tasks.counts([]) == [("created", None, 1)]
        assert tasks.recount(repair=False) == []
        assert catalog.delete(image.id).size == 100
        with closing(UsageCatalog(url)) as usage, closing(AuditCatalog(url)) as audit:
            counted = usage.page(after=None, limit=9, domains=frozenset())
            assert [(one.domain, one.images, one.bytes) for one in counted] == [
                ("cats", 1, 100),
                ("dogs", 1, 100),
            ]
            assert [entry.action for entry in audit.page(before=None, limit=9)] == ["delete"]
        assert keys.insert("d" * 64, "shop", "write", frozenset(["cats"]), None).id == 1


def test_an_old_sqlite_database_is_brought_up_to_date(tmp_path: Path) -> None:
    old, new = tmp_path / "old.db", tmp_path / "new.db"
    with closing(sqlite3.connect(old)) as database:
        database.executescript((FIRST / "first_version.sqlite.sql").read_text())
        database.execute(IMAGES)
        database.execute(TASK)
        database.commit()
    with closing(Catalog(f"sqlite:///{new}")) as catalog:
        catalog.prepare()

    check_rows(f"sqlite:///{old}")

    assert shape(old) == shape(new)


def test_an_old_mariadb_database_is_brought_up_to_date(mariadb: MariaDB) -> None:
    with mariadb.database() as old, mariadb.database() as new:
        for statement in filter(str.strip, (FIRST / "first_version.sql").read_text().split(";\n")):
            mariadb.execute(statement, database=old)
        mariadb.execute(IMAGES, database=old)
        mariadb.execute(TASK, database=old)
        with closing(Catalog(mariadb.url(new))) as catalog:
            catalog.prepare()

        check_rows(mariadb.url(old))

        unordered = [{(row[0], *row[2:]) for row in columns(mariadb, name)} for name in (old, new)]
        assert unordered[0] == unordered[1]
        assert indexes(mariadb, old) == indexes(mariadb, new)
