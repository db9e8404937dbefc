"""Renderers that are closed after each test."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers import wait_until
from tests.unit.render.decoding import Bench, alive, forkers


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    for renderer in bench.made:
        renderer.close()


@pytest.fixture
def fresh_forker() -> None:
    """The next renderer starts a fork server with its own engines. One of an earlier test, that has imported
    others, leaves the import to the decoder: NumPy alone reserves 85 MiB then."""
    for pid in forkers():
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda pid=pid: not alive(pid), what="the end of the fork server")
