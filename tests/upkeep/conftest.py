from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.mariadb import MariaDB
from tests.servers import Server
from tests.swift import make_bucket, s3_server
from tests.upkeep.house import House, house

BUCKET = "originals"


@pytest.fixture
def home(tmp_path: Path) -> Iterator[House]:
    """On SQLite and a folder."""
    with house(tmp_path / "home") as made:
        yield made


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with s3_server(tmp_path_factory.mktemp("swift")) as server:
        make_bucket(server, BUCKET)
        yield server


@pytest.fixture
def mariadb_home(tmp_path: Path, mariadb: MariaDB) -> Iterator[House]:
    with mariadb.database() as name, house(tmp_path / "home", DATABASE_URL=mariadb.url(name)) as made:
        yield made
