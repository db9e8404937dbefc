"""The few things that are worth telling of a photo's EXIF: camera, exposure and date.

The GPS directory is never opened, so no place can leak from here.
"""

import struct
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

_EXIF_DIRECTORY = 0x8769
_NAMES = {
    0x010F: "make",
    0x0110: "model",
    0xA434: "lens",
    0x9003: "taken",
    0x829A: "exposure_time",
    0x829D: "f_number",
    0x8827: "iso",
    0x920A: "focal_length",
}
"""Tags of EXIF 2.32 §4.6; times in seconds, lengths in millimetres."""

_ASCII, _SHORT, _LONG, _RATIONAL = 2, 3, 4, 5
_UNITS = {_ASCII: 1, _SHORT: 2, _LONG: 4, _RATIONAL: 8}
_MOST_ENTRIES = 512
_LONGEST_TEXT = 200


def read_exif(data: bytes) -> dict[str, Any]:
    """What `data` (an EXIF block, with or without its `Exif` header) says, as JSON values.

    Broken entries are left out; bytes that are no EXIF at all give an empty dictionary.
    """
    starts = [at for at in (data.find(b"II*\0", 0, 32), data.find(b"MM\0*", 0, 32)) if at >= 0]
    if not starts:
        return {}
    tiff = data[min(starts) :]
    order = "<" if tiff.startswith(b"II") else ">"
    try:
        found = dict(_entries(tiff, order, struct.unpack_from(order + "I", tiff, 4)[0]))
        if isinstance(found.get(_EXIF_DIRECTORY), int):
            found |= dict(_entries(tiff, order, found[_EXIF_DIRECTORY]))
    except struct.error:
        return {}
    return _clean({name: found[tag] for tag, name in _NAMES.items() if tag in found})


def _entries(tiff: bytes, order: str, offset: int) -> Iterator[tuple[int, Any]]:
    (count,) = struct.unpack_from(order + "H", tiff, offset)
    for number in range(min(count, _MOST_ENTRIES)):
        at = offset + 2 + 12 * number
        if at + 12 > len(tiff):
            return
        tag, kind, length = struct.unpack_from(order + "HHI", tiff, at)
        if kind in _UNITS and (tag in _NAMES or tag == _EXIF_DIRECTORY):
            value = _value(tiff, order, kind, length, at + 8)
            if value is not None:
                yield tag, value


def _value(tiff: bytes, order: str, kind: int, length: int, at: int) -> Any:
    if length * _UNITS[kind] > 4:
        (at,) = struct.unpack_from(order + "I", tiff, at)
    if at + min(length, _LONGEST_TEXT) * _UNITS[kind] > len(tiff) or length == 0:
        return None
    if kind == _ASCII:
        return tiff[at : at + min(length, _LONGEST_TEXT)].split(b"\0")[0].decode("utf-8", "replace").strip()
    if kind == _RATIONAL:
        above, below = struct.unpack_from(order + "II", tiff, at)
        return above / below if below else None
    return struct.unpack_from(order + ("H" if kind == _SHORT else "I"), tiff, at)[0]


def _clean(found: Mapping[str, Any]) -> dict[str, Any]:
    clean: dict[str, Any] = {}
    for name, value in found.items():
        if name in ("make", "model", "lens") and isinstance(value, str) and value:
            clean[name] = "".join(letter for letter in value if letter.isprintable())
        elif name == "taken" and isinstance(value, str):
            clean |= _date(value)
        elif name not in ("make", "model", "lens", "taken") and isinstance(value, int | float):
            clean[name] = round(value, 6)
    return clean


def _date(text: str) -> dict[str, str]:
    """EXIF writes 2011:10:27 16:26:47, without a time zone."""
    try:
        return {"taken": datetime.strptime(text, "%Y:%m:%d %H:%M:%S").isoformat()}
    except ValueError:
        return {}
