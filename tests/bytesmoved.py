"""Bytes that a process reads and writes, from files and through pipes, as Linux counts them (proc(5), io).

What it sends and receives by sockets is not among them, but the pipes of `multiprocessing` are; nor is what
it maps into its memory.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SLACK_BYTES = 256 * 1024
"""For whatever else it does meanwhile; what is measured must be a multiple of that."""


@dataclass
class Moved:
    """In a block; `read` and `written` are there when it is over."""

    read: int = 0
    written: int = 0


@contextlib.contextmanager
def moved(pid: int) -> Iterator[Moved]:
    before, moved = _so_far(pid), Moved()
    yield moved
    after = _so_far(pid)
    moved.read, moved.written = after[0] - before[0], after[1] - before[1]


def about(size: int) -> range:
    """So many bytes, and a little more."""
    return range(size, size + SLACK_BYTES)


def _so_far(pid: int) -> tuple[int, int]:
    lines = Path(f"/proc/{pid}/io").read_text().splitlines()
    counts = dict(line.split(": ") for line in lines)
    return int(counts["rchar"]), int(counts["wchar"])
