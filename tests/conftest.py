"""Servers that several tests share."""

from collections.abc import Iterator

import pytest

from tests.mariadb import MariaDB, mariadb_server


@pytest.fixture(scope="session")
def mariadb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MariaDB]:
    """One MariaDB for the whole run; a test that stops it starts it again."""
    with mariadb_server(tmp_path_factory.mktemp("mariadb")) as running:
        yield running
