"""What was promised to clients: every acknowledged write, and which writes may have happened or not."""

import hashlib
import random
import threading
import time
from dataclasses import dataclass, field
from functools import cache

import numpy as np
from PIL import Image

from tests import pictures

LARGE_EVERY = 5
"""Every so many pictures are over 256 KiB, so that they are kept in no Redis and travel by sendfile or S3."""

Number = int
"""A picture's: its bytes are made from it, and no two pictures share bytes."""


@cache
def _base(large: bool) -> bytes:
    if not large:
        return pictures.encode(pictures.quadrants(60, 40), "png").data
    noise = np.random.default_rng(1).integers(0, 255, (320, 320, 3), dtype="uint8")
    return pictures.encode(Image.fromarray(noise), "png").data


def content(number: Number) -> bytes:
    """Bytes behind a PNG's end are ignored by decoders, and make each another file."""
    return _base(number % LARGE_EVERY == 0) + b"%012d" % number


@cache
def digests(number: Number) -> tuple[str, str]:
    """md5 and sha256 in hex."""
    body = content(number)
    return hashlib.md5(body).hexdigest(), hashlib.sha256(body).hexdigest()


@dataclass
class Name:
    """A name of a picture, changed by one client only."""

    domain: str
    dkey: str
    image_id: int | None = None
    holds: Number | None = None
    """What the last acknowledged write left there; None for nothing."""
    or_else: list[Number | None] = field(default_factory=list)
    """What a write that was not acknowledged may have left instead."""
    settled: float = 0.0
    """When the last write was acknowledged (`time.monotonic`)."""
    version: int = 0
    """Grows when a write begins, and when it is acknowledged."""
    busy: bool = False
    """Whether a write is under way."""
    past: list[Number] = field(default_factory=list)
    """What it held before, and nothing holds any more."""

    @property
    def path(self) -> str:
        return f"/{self.domain}/{self.dkey}"


class Ledger:
    """Names and tasks; for many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._names: list[Name] = []
        self._numbers = 0
        self.tasks: dict[int, tuple[str, str, Number, float]] = {}
        """Accepted tasks: id -> domain, dkey, picture, and when it was accepted."""

    def new_number(self) -> Number:
        with self._lock:
            self._numbers += 1
            return self._numbers

    def add(self, name: Name) -> None:
        with self._lock:
            self._names.append(name)

    def begin(self, name: Name) -> None:
        """A write is asked for: from now on either may be seen."""
        with self._lock:
            name.busy = True
            name.version += 1

    def settle(self, name: Name, holds: Number | None, image_id: int | None) -> None:
        """A write was acknowledged."""
        with self._lock:
            if name.holds is not None and name.holds != holds:
                name.past.append(name.holds)
            name.holds, name.image_id = holds, image_id
            name.settled = time.monotonic()
            name.version += 1
            name.busy = False

    def doubt(self, name: Name, maybe: Number | None) -> None:
        """A write was not acknowledged, and may have happened; nobody writes there again."""
        with self._lock:
            name.or_else.append(maybe)

    def accept(self, task_id: int, domain: str, dkey: str, number: Number) -> None:
        with self._lock:
            self.tasks[task_id] = (domain, dkey, number, time.monotonic())

    @property
    def names(self) -> list[Name]:
        with self._lock:
            return list(self._names)

    def picked(self, *, settled_s: float) -> Name | None:
        """A random name without doubt whose last write is that long ago; recent ones more often."""
        with self._lock:
            before = time.monotonic() - settled_s
            fit = [
                one
                for one in self._names[-200:]
                if 0 < one.settled < before and not one.busy and not one.or_else
            ]
        return random.choice(fit) if fit else None
