"""Sizes that nobody has asked for yet, and loads of them that last for some seconds."""

import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")

WIDTHS: Mapping[int, range] = {300: range(250, 351), 1200: range(1100, 1301)}
"""Class -> the widths that belong to it."""

_STEP = 37
"""Has no divisor in common with the number of widths of a class: each comes once in so many sizes, and
a few of them in a row are as large on average as all."""

_HEIGHT = 4096
"""The most that may be asked for."""


@dataclass(frozen=True, slots=True)
class Size:
    """`height` is a bound of 3000 and more that no picture of this width reaches, however often its photo
    was asked for: with another one, a cache does not know the same picture. Who has no cache needs none."""

    width: int
    height: int


def sizes(width: int) -> Iterator[Size]:
    """Those of a class, never one twice."""
    widths = WIDTHS[width]
    for number in itertools.count():
        before, place = divmod(number, len(widths))
        yield Size(widths[place * _STEP % len(widths)], _HEIGHT - before)


def passes(one: Callable[[], Iterable[T]], seconds: float) -> Iterator[T]:
    """What `one` gives, again and again for so many seconds from the first on; at least once, and whole."""
    ends = time.monotonic() + seconds
    while True:
        yield from one()
        if time.monotonic() >= ends:
            return
