"""An origin, and what fetches from it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from imagestore.download import Fetcher
from imagestore.spool import Spool
from tests import origin as web
from tests.contract.download.fetching import fetcher_for
from tests.origin import Origin


@pytest.fixture
def server() -> Iterator[Origin]:
    with web.origin() as running:
        yield running


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "spool")


@pytest.fixture
def fetcher(server: Origin) -> Fetcher:
    return fetcher_for(server)
