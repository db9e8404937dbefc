"""Whether a file goes on to its end, by the structure of its format.

Decoders are lenient: ImageMagick says nothing of a JPEG that was cut short, libtiff makes up the
strips that are missing, and a GIF may end within its last frame. So both engines ask here first.
"""

import mmap
import re
import struct
from collections.abc import Callable, Mapping
from pathlib import Path

_AFTER_JPEG_SCAN = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
"""The next marker in entropy-coded data that is neither stuffing (00) nor a restart (D0 to D7)."""

_JPEG_END, _JPEG_SCAN = 0xD9, 0xDA
_GIF_IMAGE, _GIF_EXTENSION, _GIF_TRAILER = 0x2C, 0x21, 0x3B
_TIFF, _TIFF_PLACES, _TIFF_LENGTHS = 42, (273, 324), (279, 325)


def is_whole(source: Path, format_: str) -> bool:
    """True when everything is there that the format's structure asks for; bytes after it do not
    matter. A BMP counts as whole here, since its decoder notices."""
    ends = _ENDS.get(format_)
    if ends is None:
        return True
    try:
        with source.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return ends(data)
    except (struct.error, IndexError, ValueError):
        # The last is said of an empty file.
        return False


def _jpeg_ends(data: mmap.mmap) -> bool:
    """Walks the segments (ISO/IEC 10918-1 annex B), so that a thumbnail's end does not count."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:
            at += 1
            continue
        if marker == _JPEG_END:
            return True
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if marker == _JPEG_SCAN:
            found = _AFTER_JPEG_SCAN.search(data, at)
            if found is None:
                return False
            at = found.start()
    return data[at : at + 2] == b"\xff\xd9"


def _png_ends(data: mmap.mmap) -> bool:
    at = 8
    while at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        if data[at + 4 : at + 8] == b"IEND":
            return True
        at += 12 + length
    return False


def _boxes_end(data: mmap.mmap) -> bool:
    """Top-level boxes of ISO/IEC 14496-12 §4.2 fill the file."""
    at = 0
    while at + 8 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        if length == 1:
            length = int.from_bytes(data[at + 8 : at + 16], "big")
        if length == 0:
            return True
        if length < 8 or at + length > len(data):
            return False
        at += length
    return True


def _webp_ends(data: mmap.mmap) -> bool:
    return len(data) >= 8 + int.from_bytes(data[4:8], "little")


def _gif_ends(data: mmap.mmap) -> bool:
    """Walks the blocks (GIF89a §17 to §27) up to the trailer."""
    at = 13 + _colour_table(data, 10)
    while at < len(data):
        if data[at] == _GIF_TRAILER:
            return True
        if data[at] == _GIF_IMAGE:
            at += 11 + _colour_table(data, at + 9)
        elif data[at] == _GIF_EXTENSION:
            at += 2
        else:
            return False
        while at < len(data) and data[at]:
            at += 1 + data[at]
        at += 1
    return False


def _colour_table(data: mmap.mmap, at: int) -> int:
    """Bytes of the colour table that the flags at this place announce."""
    (flags,) = struct.unpack_from("B", data, at)
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _tiff_ends(data: mmap.mmap) -> bool:
    """All strips or tiles of the first page (TIFF 6.0 §2) lie within the file."""
    order = "<" if data[:2] == b"II" else ">"
    version, directory = struct.unpack_from(order + "HI", data, 2)
    if version != _TIFF:
        # BigTIFF is left to the decoder.
        return True
    (count,) = struct.unpack_from(order + "H", data, directory)
    found = {}
    for at in range(directory + 2, directory + 2 + 12 * count, 12):
        (tag,) = struct.unpack_from(order + "H", data, at)
        if tag in _TIFF_PLACES or tag in _TIFF_LENGTHS:
            found[tag] = _tiff_numbers(data, order, at)
    places = next((found[tag] for tag in _TIFF_PLACES if tag in found), ())
    lengths = next((found[tag] for tag in _TIFF_LENGTHS if tag in found), ())
    return all(place + length <= len(data) for place, length in zip(places, lengths, strict=False))


def _tiff_numbers(data: mmap.mmap, order: str, at: int) -> tuple[int, ...]:
    kind, count = struct.unpack_from(order + "HI", data, at + 2)
    letter, size = {3: ("H", 2), 4: ("I", 4)}.get(kind, ("B", 1))
    place = at + 8
    if count * size > 4:
        (place,) = struct.unpack_from(order + "I", data, place)
    return struct.unpack_from(f"{order}{min(count, len(data))}{letter}", data, place)


_ENDS: Mapping[str, Callable[[mmap.mmap], bool]] = {
    "jpeg": _jpeg_ends,
    "png": _png_ends,
    "gif": _gif_ends,
    "webp": _webp_ends,
    "avif": _boxes_end,
    "heic": _boxes_end,
    "tiff": _tiff_ends,
}
