"""JPEG: a chain of marker segments and scans (ITU-T T.81, Annex B)."""

import mmap
import re
import struct

from imagestore.errors import ImageInvalid, ImageTooComplex
from imagestore.probe.exif import orientation
from imagestore.probe.outline import Outline, Steps, cut_short
from imagestore.settings import Limits

MAX_SCANS = 100
"""Promises §3; 5,000 empty scans in 0.11 MB took ImageMagick 5.4 s (hazards M2)."""

_MAX_SEGMENTS = 5000
_SOI, _EOI, _SOS, _APP1, _TEM = 0xD8, 0xD9, 0xDA, 0xE1, 0x01
_RESTARTS = range(0xD0, 0xD8)
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_DECODABLE = frozenset({0xC0, 0xC1, 0xC2})
"""Baseline, extended sequential and progressive with Huffman coding."""

_MARKER = re.compile(rb"\xff[\x01-\xfe]")
_AFTER_SCAN = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
"""Ends a scan: not a stuffed 0xFF00, not a restart, not a fill byte."""


def read(data: mmap.mmap, limits: Limits) -> Outline:
    """Walk to the end-of-image marker; whatever follows it (a second picture, a film) is left alone.

    Raises:
        ImageInvalid, ImageTooComplex: as `probe` says.
    """
    frame: tuple[int, int] | None = None
    turned = 0
    scans = 0
    steps = Steps("JPEG segments", _MAX_SEGMENTS)
    at = 2
    while True:
        steps.take()
        marker, at = _marker(data, at)
        if marker == _EOI:
            break
        if marker == _SOI:
            raise ImageInvalid("a second JPEG picture begins inside the first")
        if marker == _TEM or marker in _RESTARTS:
            continue
        (length,) = struct.unpack_from(">H", data, at)
        if length < 2 or at + length > len(data):
            raise cut_short("jpeg", "a segment is longer than the rest of the file")
        if marker in _FRAMES:
            frame = _frame(data, at, marker, again=frame is not None)
        elif marker == _APP1 and not turned and data[at + 2 : at + 8] == b"Exif\0\0":
            turned = orientation(data[at + 8 : at + length])
        elif marker == _SOS:
            scans += 1
            at = _skip_scan(data, at + length, scans)
            continue
        at += length
    if frame is None or scans == 0:
        raise ImageInvalid("the jpeg file has no picture in it")
    return Outline(*frame, orientation=turned or 1)


def _marker(data: mmap.mmap, at: int) -> tuple[int, int]:
    """The next marker and where it ends; like libjpeg, stray bytes before it are passed over."""
    found = _MARKER.search(data, at)
    if found is None:
        raise cut_short("jpeg", "its end marker is missing")
    return data[found.end() - 1], found.end()


def _frame(data: mmap.mmap, at: int, marker: int, *, again: bool) -> tuple[int, int]:
    if marker not in _DECODABLE:
        raise ImageInvalid(
            "the jpeg is of a lossless, hierarchical or arithmetic kind that nothing here decodes"
        )
    if again:
        raise ImageInvalid("the jpeg has two frame headers")
    precision, height, width, components = struct.unpack_from(">BHHB", data, at + 2)
    if precision != 8:
        raise ImageInvalid(f"the jpeg has {precision} bits a sample, expected 8")
    if components not in (1, 3, 4):
        raise ImageInvalid(f"the jpeg has {components} components, expected 1, 3 or 4")
    return width, height


def _skip_scan(data: mmap.mmap, at: int, scans: int) -> int:
    if scans > MAX_SCANS:
        raise ImageTooComplex(f"the jpeg has more than {MAX_SCANS} scans")
    found = _AFTER_SCAN.search(data, at)
    if found is None:
        raise cut_short("jpeg", "its end marker is missing")
    return found.start()
