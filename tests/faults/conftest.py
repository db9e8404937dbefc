from collections.abc import Iterator

import pytest

from tests.mariadb import MariaDB, mariadb_server


@pytest.fixture(scope="session")
def durable_mariadb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MariaDB]:
    """One that writes its log at each commit, as is the default."""
    with mariadb_server(tmp_path_factory.mktemp("m"), "--innodb-flush-log-at-trx-commit=1") as running:
        yield running
