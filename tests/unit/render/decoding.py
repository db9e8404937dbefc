"""Renderers with hostile engines, and a look at the processes behind them."""

import contextlib
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from imagestore.records import Facts
from imagestore.render import Renderer
from imagestore.rendition import Rendition
from imagestore.settings import MIB, Encoding, Limits
from tests.unit.hostile_engine import picture

HOSTILE, OTHER = "tests.unit.hostile_engine", "tests.unit.other_engine"
FACTS = Facts("png", 4, 4)
WISH = Rendition(width=2)
LIMITS = Limits(render_timeout_s=20, render_memory_bytes=256 * MIB)


@dataclass
class Bench:
    """Makes renderers in one folder, pictures for them, and ends all."""

    folder: Path
    made: list[Renderer] = field(default_factory=list)

    @property
    def scratch(self) -> Path:
        return self.folder / "scratch"

    def renderer(self, *engines: str, **settings: Any) -> Renderer:
        options: dict[str, Any] = {
            "processes": 2,
            "limits": LIMITS,
            "encoding": Encoding(),
            "queue": 16,
            "queue_timeout_s": 20,
            "scratch": self.scratch,
            "slots": self.folder / "slots",
            "engines": {"auto": engines or (HOSTILE,)},
        }
        renderer = Renderer(engine="auto", **{**options, **settings})
        self.made.append(renderer)
        return renderer

    def picture(self, command: str) -> Path:
        return picture(self.folder, command)

    def files(self) -> list[Path]:
        """All that decoders have left, their folders not counted."""
        # Unlike rglob, walk does not mind a folder that goes in the meantime.
        found = [(Path(folder), folders, files) for folder, folders, files in os.walk(self.scratch)]
        links = [
            folder / name for folder, folders, _ in found for name in folders if (folder / name).is_symlink()
        ]
        return links + [folder / name for folder, _, files in found for name in files]


def children(pid: int) -> set[int]:
    """Processes whose parent is `pid`, from /proc."""
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid and fields[0] != "Z":
            found.add(int(stat.parent.name))
    return found


def is_forker(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return b"multiprocessing.forkserver" in Path(f"/proc/{pid}/cmdline").read_bytes()
    return False


def forkers(pid: int | None = None) -> set[int]:
    return {child for child in children(pid or os.getpid()) if is_forker(child)}


def decoders() -> set[int]:
    return {decoder for forker in forkers() for decoder in children(forker)}


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
