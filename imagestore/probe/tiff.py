"""TIFF: a chain of directories (TIFF 6.0, section 2)."""

import mmap
import struct
from collections.abc import Sequence
from itertools import zip_longest

from imagestore.errors import ImageInvalid
from imagestore.probe.outline import Outline, Steps, check_frames, check_size, cut_short
from imagestore.settings import Limits

_MAX_ENTRIES = 50_000
"""Directory entries of all pages together."""
_MAX_VALUES = 400_000
"""Offsets and lengths of strips and tiles of all pages together."""

_WIDTH, _HEIGHT, _ORIENTATION, _EXTRA_SAMPLES = 256, 257, 274, 338
_PLACES = ((273, 279), (324, 325))
"""Tags of the offsets and the lengths of strips, and of tiles."""
_WANTED = frozenset({_WIDTH, _HEIGHT, _ORIENTATION, _EXTRA_SAMPLES, *_PLACES[0], *_PLACES[1]})
_LETTERS = {1: "B", 3: "H", 4: "I"}
"""BYTE, SHORT and LONG in the letters of `struct`."""

_Directory = dict[int, Sequence[int]]


def read(data: mmap.mmap, limits: Limits) -> Outline:
    """The first page; the others are counted, and the strips of all must lie within the file.

    Raises:
        ImageInvalid, ImageTooManyFrames, ImageTooComplex: as `probe` says.
    """
    order = "<" if data[:2] == b"II" else ">"
    entries, values = Steps("TIFF entries", _MAX_ENTRIES), Steps("TIFF strips", _MAX_VALUES)
    first: _Directory = {}
    seen: set[int] = set()
    pixels = 0
    (at,) = struct.unpack_from(order + "I", data, 4)
    while at:
        if at in seen:
            raise ImageInvalid("the directories of the tiff go round in a circle")
        seen.add(at)
        directory, at = _directory(data, order, at, entries, values)
        first = first or directory
        width, height = _one(directory, _WIDTH, 0), _one(directory, _HEIGHT, 0)
        check_size(width, height, limits)
        pixels += width * height
        check_frames(len(seen), pixels, limits)
        _check_places(directory, len(data))
    if not first:
        raise ImageInvalid("the tiff file has no picture in it")
    turned = _one(first, _ORIENTATION, 1)
    # 1 and 2 are alpha, with and without colours multiplied by it; 0 is something unknown.
    alpha = any(value in (1, 2) for value in first.get(_EXTRA_SAMPLES, ()))
    return Outline(
        _one(first, _WIDTH, 0),
        _one(first, _HEIGHT, 0),
        alpha,
        turned if 1 <= turned <= 8 else 1,
        frames=len(seen),
        pixels=pixels,
    )


def _directory(data: mmap.mmap, order: str, at: int, entries: Steps, values: Steps) -> tuple[_Directory, int]:
    """The entries of one directory that we want, and where the next directory is (0: nowhere)."""
    (count,) = struct.unpack_from(order + "H", data, at)
    entries.take(count)
    found: _Directory = {}
    for place in range(at + 2, at + 2 + 12 * count, 12):
        tag, kind, number = struct.unpack_from(order + "HHI", data, place)
        letter = _LETTERS.get(kind)
        if tag not in _WANTED or letter is None or tag in found:
            continue
        values.take(number)
        layout = f"{order}{number}{letter}"
        inline = struct.calcsize(layout) <= 4
        where = place + 8 if inline else struct.unpack_from(order + "I", data, place + 8)[0]
        found[tag] = struct.unpack_from(layout, data, where)
    (following,) = struct.unpack_from(order + "I", data, at + 2 + 12 * count)
    return found, following


def _one(directory: _Directory, tag: int, default: int) -> int:
    values = directory.get(tag)
    return values[0] if values else default


def _check_places(directory: _Directory, file_length: int) -> None:
    offsets, lengths = next(
        ((directory[at], directory.get(length, ())) for at, length in _PLACES if directory.get(at)), ((), ())
    )
    if not offsets:
        raise ImageInvalid("a page of the tiff has no pixels")
    if any(offset + length > file_length for offset, length in zip_longest(offsets, lengths, fillvalue=0)):
        raise cut_short("tiff", "rows of pixels are missing")
