"""Servers that several tests share."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.mariadb import MariaDB, mariadb_server


def pytest_configure() -> None:
    """Let what tests start be interrupted, also when the run itself may not be: a shell starts programs
    in the background with SIGINT ignored, and all their children inherit that."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def mariadb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MariaDB]:
    """One MariaDB for the whole run; a test that stops it starts it again."""
    with mariadb_server(tmp_path_factory.mktemp("mariadb")) as running:
        yield running


@pytest.fixture(params=["sqlite", "mariadb"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty database, of each kind in turn."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/catalog.db"
        return
    running: MariaDB = request.getfixturevalue("mariadb")
    with running.database() as name:
        yield running.url(name)
