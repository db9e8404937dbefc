"""AVIF and HEIC: boxes in boxes (ISO/IEC 14496-12) with items and their properties (ISO/IEC 23008-12)."""

import mmap
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from imagestore.errors import ImageInvalid, ImageTooComplex
from imagestore.probe.outline import Outline, Steps, check_frames, check_size, cut_short
from imagestore.settings import Limits

_MAX_BOXES = 20_000
_MAX_DEPTH = 8
_MAX_VALUES = 100_000
"""Associations, references and extents together."""

_ALPHA_KINDS = (b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0", b"urn:mpeg:hevc:2015:auxid:1\0")

_FULL_SIZE_IN_BOX = 1
_TO_THE_END = 0


@dataclass(slots=True)
class _Items:
    """What the `meta` box says. A property is its kind and the place and end of its content."""

    primary: int | None = None
    properties: list[tuple[bytes, int, int]] = field(default_factory=list)
    of_item: dict[int, list[int]] = field(default_factory=dict)
    references: list[tuple[bytes, int, list[int]]] = field(default_factory=list)


def read(data: mmap.mmap, limits: Limits) -> Outline:
    """The primary item as `irot`, `imir` and `clap` show it; EXIF orientation does not count here
    (23008-12 §6.5.10 and §A.2.2: the properties are normative, EXIF is for information).

    Raises:
        ImageInvalid, ImageTooLarge, ImageTooManyFrames, ImageTooComplex: as `probe` says.
    """
    reader = _Reader(data)
    items: _Items | None = None
    frames = 1
    for kind, at, end in reader.boxes(0, len(data)):
        if kind == b"meta" and items is None:
            items = reader.items(at + 4, end)
        elif kind == b"moov":
            frames = max(frames, reader.samples(at, end))
    if items is None or items.primary is None:
        raise ImageInvalid("the file has no primary picture")
    width, height = _shown_size(data, items, items.primary, limits)
    pixels = width * height * frames
    check_frames(frames, pixels, limits)
    _check_tiles(data, items, limits)
    return Outline(width, height, _has_alpha(data, items), frames=frames, pixels=pixels)


class _Reader:
    """Walks boxes within one budget of steps for the whole file."""

    def __init__(self, data: mmap.mmap) -> None:
        self._data = data
        self._boxes = Steps("boxes", _MAX_BOXES)
        self._values = Steps("entries", _MAX_VALUES)

    def boxes(self, at: int, end: int, depth: int = 0) -> Iterator[tuple[bytes, int, int]]:
        """Kind, place and end of the content of each box from `at` to `end` (14496-12 §4.2)."""
        if depth > _MAX_DEPTH:
            raise ImageTooComplex(f"the boxes of the file are nested more than {_MAX_DEPTH} deep")
        while at + 8 <= end:
            self._boxes.take()
            size, kind = struct.unpack_from(">I4s", self._data, at)
            content = at + 8
            if size == _FULL_SIZE_IN_BOX:
                (size,) = struct.unpack_from(">Q", self._data, content)
                content += 8
            elif size == _TO_THE_END:
                size = end - at
            if size < content - at or at + size > end:
                raise cut_short("picture", "a box is longer than the rest of the file")
            yield kind, content, at + size
            at += size

    def items(self, at: int, end: int) -> _Items:
        items = _Items()
        for kind, start, stop in self.boxes(at, end, 1):
            if kind == b"pitm":
                items.primary = self._number(start + 4, 4 if self._data[start] else 2)
            elif kind == b"iloc":
                self._check_extents(start)
            elif kind == b"iref":
                items.references += self._references(start, stop)
            elif kind == b"iprp":
                for inner, inner_start, inner_stop in self.boxes(start, stop, 2):
                    if inner == b"ipco":
                        items.properties += self.boxes(inner_start, inner_stop, 3)
                    elif inner == b"ipma":
                        self._associations(inner_start, items)
        return items

    def samples(self, at: int, end: int, depth: int = 1) -> int:
        """Pictures of the longest track of a sequence (`stsz`, 14496-12 §8.7.3)."""
        longest = 0
        for kind, start, stop in self.boxes(at, end, depth):
            if kind in (b"trak", b"mdia", b"minf", b"stbl"):
                longest = max(longest, self.samples(start, stop, depth + 1))
            elif kind == b"stsz":
                longest = max(longest, self._number(start + 8, 4))
        return longest

    def _number(self, at: int, length: int) -> int:
        if at + length > len(self._data):
            raise cut_short("picture", "a box ends too early")
        return int.from_bytes(self._data[at : at + length], "big")

    def _references(self, at: int, end: int) -> Iterator[tuple[bytes, int, list[int]]]:
        width = 4 if self._data[at] else 2
        for kind, start, _ in self.boxes(at + 4, end, 2):
            source, count = self._number(start, width), self._number(start + width, 2)
            self._values.take(count)
            first = start + width + 2
            yield kind, source, [self._number(first + width * number, width) for number in range(count)]

    def _associations(self, at: int, items: _Items) -> None:
        """`ipma` (23008-12 §9.3): which properties belong to an item, in the order they are applied."""
        id_length = 4 if self._data[at] else 2
        wide = self._data[at + 3] & 1
        entries = self._number(at + 4, 4)
        at += 8
        for _ in range(entries):
            item, count = self._number(at, id_length), self._data[at + id_length]
            self._values.take(1 + count)
            at += id_length + 1
            step = 2 if wide else 1
            mask = 0x7FFF if wide else 0x7F
            numbers = [self._number(at + step * number, step) & mask for number in range(count)]
            items.of_item.setdefault(item, []).extend(numbers)
            at += step * count

    def _check_extents(self, at: int) -> None:
        """`iloc` (14496-12 §8.11.3): the bytes of every item must be there."""
        data = self._data
        version = data[at]
        offset_length, length_length = data[at + 4] >> 4, data[at + 4] & 15
        base_length, index_length = data[at + 5] >> 4, data[at + 5] & 15 if version else 0
        id_length = 4 if version == 2 else 2
        items = self._number(at + 6, id_length)
        at += 6 + id_length
        for _ in range(items):
            at += id_length
            in_file = True
            if version:
                in_file = self._number(at, 2) & 15 == 0
                at += 2
            # Data in another file is of no use here, and no decoder follows it.
            base = self._number(at + 2, base_length)
            count = self._number(at + 2 + base_length, 2)
            at += 4 + base_length
            self._values.take(1 + count)
            for _ in range(count):
                offset = base + self._number(at + index_length, offset_length)
                length = self._number(at + index_length + offset_length, length_length)
                if in_file and offset + length > len(data):
                    raise cut_short("picture", "an item lies beyond its end")
                at += index_length + offset_length + length_length


def _properties(items: _Items, item: int) -> Iterator[tuple[bytes, int, int]]:
    """The properties of an item; numbers count from 1, and 0 is none."""
    for number in items.of_item.get(item, ()):
        if 0 < number <= len(items.properties):
            yield items.properties[number - 1]


def _extent(data: mmap.mmap, items: _Items, item: int) -> tuple[int, int]:
    for kind, at, _ in _properties(items, item):
        if kind == b"ispe":
            width, height = struct.unpack_from(">II", data, at + 4)
            return width, height
    return 0, 0


def _shown_size(data: mmap.mmap, items: _Items, item: int, limits: Limits) -> tuple[int, int]:
    width, height = _extent(data, items, item)
    check_size(width, height, limits)
    for kind, at, _ in _properties(items, item):
        if kind == b"irot" and data[at] & 1:
            width, height = height, width
        elif kind == b"clap":
            wide, wide_by, high, high_by = struct.unpack_from(">IIII", data, at)
            if not wide_by or not high_by:
                raise ImageInvalid("the clean aperture of the picture is a fraction by zero")
            width, height = min(width, round(wide / wide_by)), min(height, round(high / high_by))
    return width, height


def _check_tiles(data: mmap.mmap, items: _Items, limits: Limits) -> None:
    """A small grid may be made of tiles that are large, or many."""
    total = 0
    # One item may be referred to thousands of times, so each is looked at once.
    sizes: dict[int, int] = {}
    for kind, _, targets in items.references:
        for tile in targets if kind == b"dimg" else ():
            if tile not in sizes:
                width, height = _extent(data, items, tile)
                if width and height:
                    check_size(width, height, limits)
                sizes[tile] = width * height
            total += sizes[tile]
    check_frames(2, total, limits)


def _has_alpha(data: mmap.mmap, items: _Items) -> bool:
    """Whether an auxiliary picture of the primary one is its alpha (23008-12 §6.5.8)."""
    auxiliaries = {
        source for kind, source, targets in items.references if kind == b"auxl" and items.primary in targets
    }
    return any(
        kind == b"auxC" and data[at + 4 : min(end, at + 64)].startswith(_ALPHA_KINDS)
        for auxiliary in auxiliaries
        for kind, at, end in _properties(items, auxiliary)
    )
