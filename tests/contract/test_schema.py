"""db/schema.sql and the models say the same, to a real MariaDB in MySQL 8's SQL mode."""

import subprocess
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import peewee
import pytest
from playhouse.migrations import Runner

from imagestore.catalog import SCHEMA, Catalog
from imagestore.migrations import HISTORY
from imagestore.models import TABLES
from tests.mariadb import MariaDB
from tests.servers import program

NAMES = [*(model._meta.table_name for model in TABLES), HISTORY]


@pytest.fixture
def database(mariadb: MariaDB) -> Iterator[str]:
    with mariadb.database() as name:
        yield name


@pytest.fixture
def loaded(mariadb: MariaDB, database: str) -> str:
    """A database with the tables of schema.sql."""
    with closing(Catalog(mariadb.url(database))) as catalog:
        catalog.prepare()
    return database


@pytest.fixture
def modelled(mariadb: MariaDB) -> Iterator[str]:
    """A database with the tables as the models would make them, and the same character set."""
    with mariadb.database() as name:
        mariadb.execute(f"ALTER DATABASE {name} CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")
        database = peewee.MySQLDatabase(name, host="127.0.0.1", port=mariadb.server.port, user="root")
        with closing(database):
            for model in TABLES:
                peewee.SchemaManager(model, database).create_all()
            Runner(database, table_name=HISTORY).History.create_table()
        yield name


def columns(mariadb: MariaDB, database: str) -> list[tuple[Any, ...]]:
    """What a column is, in the order of the table."""
    return mariadb.execute(
        """SELECT table_name, ordinal_position, column_name, column_type, is_nullable,
                  character_set_name, collation_name, extra
           FROM information_schema.columns WHERE table_schema = %s ORDER BY 1, 2""",
        database,
    )


def indexes(mariadb: MariaDB, database: str) -> set[tuple[Any, ...]]:
    """Table, uniqueness and columns of each index; its name says nothing."""
    rows = mariadb.execute(
        """SELECT table_name, MAX(index_name = 'PRIMARY'), MAX(non_unique),
                  GROUP_CONCAT(column_name ORDER BY seq_in_index)
           FROM information_schema.statistics WHERE table_schema = %s GROUP BY table_name, index_name""",
        database,
    )
    return set(rows)


def test_schema_has_the_columns_of_the_models(mariadb: MariaDB, loaded: str, modelled: str) -> None:
    from_schema = columns(mariadb, loaded)

    assert from_schema == columns(mariadb, modelled)
    assert {row[0] for row in from_schema} == set(NAMES)


def test_schema_has_the_keys_of_the_models(mariadb: MariaDB, loaded: str, modelled: str) -> None:
    from_schema = indexes(mariadb, loaded)

    assert from_schema == indexes(mariadb, modelled)
    assert ("image_info", 0, 0, "domain,dkey") in from_schema


def test_schema_makes_innodb_tables_in_utf8mb4(mariadb: MariaDB, loaded: str) -> None:
    tables = mariadb.execute(
        "SELECT table_name, engine, table_collation FROM information_schema.tables WHERE table_schema = %s",
        loaded,
    )

    assert set(tables) == {(name, "InnoDB", "utf8mb4_bin") for name in NAMES}


def test_schema_loads_through_the_mysql_client_twice(mariadb: MariaDB, database: str) -> None:
    client = [program("mariadb"), "--no-defaults", "--host=127.0.0.1", f"--port={mariadb.server.port}"]
    for _ in range(2):
        with SCHEMA.open("rb") as script:
            subprocess.run([*client, "--user=root", database], stdin=script, check=True)

    assert len(columns(mariadb, database)) > 0
