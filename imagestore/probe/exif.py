"""The orientation out of an EXIF block, which is a small TIFF file (EXIF 2.32 §4.5)."""

import struct

_ORIENTATION = 274
_SHORT, _LONG = 3, 4
_MAX_ENTRIES = 1000


def orientation(block: bytes) -> int:
    """1 to 8; 1 where there is none or the block is broken, as viewers take it."""
    block = block.removeprefix(b"Exif\0\0")
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(block[:4])
    if order is None:
        return 1
    try:
        directory = struct.unpack_from(order + "I", block, 4)[0]
        entries = struct.unpack_from(order + "H", block, directory)[0]
        for number in range(min(entries, _MAX_ENTRIES)):
            at = directory + 2 + 12 * number
            tag, kind = struct.unpack_from(order + "HH", block, at)
            if tag == _ORIENTATION and kind in (_SHORT, _LONG):
                value: int = struct.unpack_from(order + ("H" if kind == _SHORT else "I"), block, at + 8)[0]
                return value if 1 <= value <= 8 else 1
    except struct.error:
        return 1
    return 1
