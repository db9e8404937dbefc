"""What both engines agree on about colours."""

import struct

LUMA = (0.212656, 0.715158, 0.072186)
"""Weights of red, green and blue in `grayscale` (ITU-R BT.709, digits as ImageMagick has them), on
the gamma-encoded values, as the CSS filter does (Filter Effects §grayscaleEquivalent)."""


def is_srgb(profile: bytes) -> bool:
    """Whether this ICC profile says that it is the common sRGB one, so that nothing is converted."""
    return b"sRGB IEC61966-2.1" in profile or b"s\0R\0G\0B\0 \0I\0E\0C\0" in profile


def srgb_profile() -> bytes:
    """A minimal ICC profile of sRGB, made here so that no file has to be found on the machine.

    Version 4.3 of the ICC specification; colorants adapted to D50 and the curve of IEC 61966-2-1.
    """
    text = "sRGB".encode("utf-16-be")
    mluc = b"mluc" + struct.pack(">IIIHHII", 0, 1, 12, 0x656E, 0x5553, len(text), 28) + text
    curve = b"para" + struct.pack(">IHH", 0, 3, 0) + _fixed(2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
    tags = {
        b"desc": mluc,
        b"cprt": mluc,
        b"wtpt": _xyz(0.9642, 1.0, 0.8249),
        b"rXYZ": _xyz(0.43607, 0.22249, 0.01392),
        b"gXYZ": _xyz(0.38515, 0.71687, 0.09708),
        b"bXYZ": _xyz(0.14307, 0.06061, 0.71410),
        b"rTRC": curve,
        b"gTRC": curve,
        b"bTRC": curve,
    }
    directory, data = struct.pack(">I", len(tags)), b""
    start = 128 + 4 + 12 * len(tags)
    for name, value in tags.items():
        directory += name + struct.pack(">II", start + len(data), len(value))
        data += value + bytes(-len(value) % 4)
    body = directory + data
    head = struct.pack(">I4sI4s4s4s", 128 + len(body), bytes(4), 0x04300000, b"mntr", b"RGB ", b"XYZ ")
    head += struct.pack(">6H", 2000, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + _fixed(0.9642, 1.0, 0.8249)
    return head.ljust(128, b"\0") + body


def _fixed(*numbers: float) -> bytes:
    return struct.pack(f">{len(numbers)}i", *(round(number * 65536) for number in numbers))


def _xyz(x: float, y: float, z: float) -> bytes:
    return b"XYZ " + bytes(4) + _fixed(x, y, z)
