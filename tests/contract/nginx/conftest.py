"""Servers that the tests of nginx share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.front import Front, front


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    with front(tmp_path_factory.mktemp("front"), RECORD_MEMORY_S="0") as running:
        yield running


@pytest.fixture
def always(servers: Front) -> Front:
    """A front that always asks Redis for records, so that no test sees another one's."""
    servers.fill()
    return servers


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Front]:
    """A front of default settings that a test may break."""
    with front(tmp_path) as running:
        yield running
