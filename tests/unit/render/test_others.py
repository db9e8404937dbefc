"""Whether others want the processors that decoders work on."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from imagestore.children import others
from imagestore.children.others import Others
from tests.servers import wait_until


@pytest.fixture
def stat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """In the place of `/proc/stat`, on a machine of four processors; each question is a look."""
    file = tmp_path / "stat"
    monkeypatch.setattr(others, "_STAT", file)
    monkeypatch.setattr(others, "_EVERY_S", 0.0)
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    spend(file, 0, 0, 0, 0, 0)
    return file


def spend(file: Path, user: int, nice: int, system: int, idle: int, iowait: int) -> None:
    """So many hundredths, after a life of some."""
    words = [10_000 + user, 20_000 + nice, 3_000 + system, 400_000 + idle, 500 + iowait, 60, 7, 8, 9, 0]
    file.write_text("cpu  " + " ".join(map(str, words)) + "\ncpu0 1 2 3 4 5 6 7 8 9 0\nintr 1\n")


@pytest.mark.parametrize(
    ("spent", "leave"),
    [
        ((40, 50, 6, 2, 2), 3),
        ((70, 20, 10, 0, 0), 1),
        ((50, 40, 10, 0, 0), 2),
        ((100, 0, 0, 0, 0), 1),
    ],
    ids=["just a crowd", "most", "some", "all"],
)
def test_a_crowd_leaves_the_processors_that_it_does_not_take(
    stat: Path, spent: tuple[int, int, int, int, int], leave: int
) -> None:
    seen = Others()
    spend(stat, *spent)

    assert seen.are_a_crowd
    spend(stat, *(2 * each for each in spent))
    assert seen.leave(4) == leave
    spend(stat, *(3 * each for each in spent))
    assert seen.leave(1) == 1


@pytest.mark.parametrize(
    "spent",
    [(40, 52, 5, 1, 2), (60, 30, 4, 6, 0), (60, 30, 4, 0, 6), (0, 100, 0, 0, 0), (0, 0, 0, 0, 0)],
    ids=["few", "beside an idle one", "beside one that waits for a disk", "decoders alone", "no time"],
)
def test_who_leaves_enough_is_no_crowd(stat: Path, spent: tuple[int, int, int, int, int]) -> None:
    seen = Others()
    spend(stat, *spent)

    assert not seen.are_a_crowd
    assert seen.leave(9) == 9


@pytest.mark.parametrize("text", ["", "cpu  1 2 3\n", "cpu  none of these are numbers at all\n"])
def test_without_figures_there_is_no_crowd(stat: Path, text: str) -> None:
    stat.write_text(text)
    seen = Others()
    spend(stat, 100, 0, 0, 0, 0)

    assert not seen.are_a_crowd
    stat.write_text(text)
    assert not seen.are_a_crowd
    stat.unlink()
    assert seen.leave(4) == 4


def test_looks_are_some_time_apart(stat: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(others, "_EVERY_S", 60.0)
    seen = Others()
    spend(stat, 100, 0, 0, 0, 0)

    assert not seen.are_a_crowd


def test_what_was_long_ago_is_no_crowd(stat: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = Others()
    monkeypatch.setattr(others, "_OLD_S", 0.0)
    spend(stat, 100, 0, 0, 0, 0)
    long_ago = seen.are_a_crowd
    monkeypatch.setattr(others, "_OLD_S", 60.0)
    spend(stat, 200, 0, 0, 0, 0)

    assert (long_ago, seen.are_a_crowd) == (False, True)


@pytest.mark.skipif(os.nice(0) > 0, reason="what this starts would be as nice as decoders are")
def test_programs_that_keep_all_processors_busy_are_a_crowd() -> None:
    seen = Others()
    busy = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(4 * (os.cpu_count() or 1))]
    try:
        wait_until(lambda: seen.are_a_crowd, what="a crowd", timeout_s=30)
    finally:
        for each in busy:
            each.kill()
            each.wait()


BUSY = """
import time
until = time.monotonic() + 60
while time.monotonic() < until:
    pass
"""
