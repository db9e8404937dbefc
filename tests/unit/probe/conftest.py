"""The probe, as most tests call it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from imagestore.probe import probe
from imagestore.records import Facts
from imagestore.settings import Limits
from tests.unit.probe.samples import LIMITS


@pytest.fixture
def read(tmp_path: Path) -> Callable[[bytes], Facts]:
    def read(data: bytes, limits: Limits = LIMITS) -> Facts:
        path = tmp_path / "picture"
        path.write_bytes(data)
        return probe(path, limits)

    return read
