"""Sizes, boxes and how they are scaled. Lengths are pixels; halves are rounded up."""

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Size:
    width: int
    height: int

    @property
    def turned(self) -> "Size":
        return Size(self.height, self.width)

    @property
    def pixels(self) -> int:
        return self.width * self.height


@dataclass(frozen=True, slots=True, order=True)
class Box:
    """A rectangle; `left` and `top` count from the upper left corner."""

    left: int
    top: int
    width: int
    height: int

    @property
    def size(self) -> Size:
        return Size(self.width, self.height)


def rescale(box: Box, stored: Size, loaded: Size) -> Box:
    """`box` of a frame of size `stored` in the coordinates of the frame as it was `loaded`."""
    left, width = _rescale_edge(box.left, box.width, stored.width, loaded.width)
    top, height = _rescale_edge(box.top, box.height, stored.height, loaded.height)
    return Box(left, top, width, height)


def centred(size: Size, cut: Size, x: float, y: float) -> Box:
    """The part of size `cut` with the point x, y (pixels) as near to its middle as the edges allow."""
    left = min(max(half_up(x - cut.width / 2), 0), size.width - cut.width)
    top = min(max(half_up(y - cut.height / 2), 0), size.height - cut.height)
    return Box(left, top, cut.width, cut.height)


def within(shape: Size, box: Size) -> Size:
    """The largest size of this shape inside `box`."""
    if shape.width * box.height >= box.width * shape.height:
        return Size(box.width, min(box.height, scaled(shape.height, box.width, shape.width)))
    return Size(min(box.width, scaled(shape.width, box.height, shape.height)), box.height)


def around(shape: Size, box: Size) -> Size:
    """The smallest size of this shape that `box` fits in."""
    if shape.width * box.height <= box.width * shape.height:
        return Size(box.width, max(box.height, scaled(shape.height, box.width, shape.width)))
    return Size(max(box.width, scaled(shape.width, box.height, shape.height)), box.height)


def scaled(length: int, numerator: int, denominator: int) -> int:
    """`length * numerator / denominator`, rounded half up, at least 1."""
    return max(1, (2 * length * numerator + denominator) // (2 * denominator))


def half_up(value: float) -> int:
    return math.floor(value + 0.5)


def _rescale_edge(start: int, length: int, stored: int, loaded: int) -> tuple[int, int]:
    if stored == loaded:
        return start, length
    first = min(half_up(start * loaded / stored), loaded - 1)
    last = min(max(half_up((start + length) * loaded / stored), first + 1), loaded)
    return first, last - first
