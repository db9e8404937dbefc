"""db/schema.sql and the models say the same, to a real MariaDB in MySQL 8's SQL mode."""

import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
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


FIRST_VERSION = Path(__file__).parent / "first_version.sql"


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
def loaded_anew(mariadb: MariaDB) -> Iterator[str]:
    """Another database with the tables of schema.sql."""
    with mariadb.database() as name, closing(Catalog(mariadb.url(name))) as catalog:
        catalog.prepare()
        yield name


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


def test_first_version_is_brought_up_to_what_a_new_database_has(
    mariadb: MariaDB, database: str, loaded_anew: str
) -> None:
    client = [program("mariadb"), "--no-defaults", "--host=127.0.0.1", f"--port={mariadb.server.port}"]
    with FIRST_VERSION.open("rb") as script:
        subprocess.run([*client, "--user=root", database], stdin=script, check=True)
    with closing(Catalog(mariadb.url(database))) as catalog:
        catalog.prepare()

    # A column that came later stands at the end of its table.
    upgraded, new = (
        {(row[0], *row[2:]) for row in columns(mariadb, name)} for name in (database, loaded_anew)
    )
    assert upgraded == new
    assert indexes(mariadb, database) == indexes(mariadb, loaded_anew)
