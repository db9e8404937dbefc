"""Renderers that are closed after each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.render.decoding import Bench


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    for renderer in bench.made:
        renderer.close()
