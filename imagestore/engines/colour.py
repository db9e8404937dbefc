"""What both engines agree on about colours."""

import struct

LUMA = (0.212656, 0.715158, 0.072186)
"""Weights of red, green and blue in `grayscale` (ITU-R BT.709, digits as ImageMagick has them), on
the gamma-encoded values, as the CSS filter does (Filter Effects §grayscaleEquivalent)."""


_COLORANTS = {
    b"rXYZ": (0.4360, 0.2225, 0.0139),
    b"gXYZ": (0.3851, 0.7169, 0.0971),
    b"bXYZ": (0.1431, 0.0606, 0.7141),
}
"""Of sRGB, adapted to D50 (ICC.1:2022 annex E)."""

_NEAR = 0.003
"""Of colorants and curves; profiles of sRGB by other makers differ by rounding."""


def is_srgb(profile: bytes) -> bool:
    """Whether this ICC profile is one of the many of sRGB, so that nothing has to be converted: by its
    name, or by its colorants and curves (that spares 10 ms for 1200 px, measured 2026-11)."""
    if b"sRGB IEC61966-2.1" in profile or b"s\0R\0G\0B\0 \0I\0E\0C\0" in profile:
        return True
    try:
        return _looks_like_srgb(_tags(profile))
    except (struct.error, ArithmeticError):
        return False


def _tags(profile: bytes) -> dict[bytes, bytes]:
    """The tags of a profile by their names (ICC.1:2022 §7.3); an absurd number of them counts as none."""
    (count,) = struct.unpack_from(">I", profile, 128)
    found = {}
    for number in range(min(count, 100)):
        name, start, length = struct.unpack_from(">4sII", profile, 132 + 12 * number)
        found[name] = profile[start : start + length]
    return found


def _looks_like_srgb(tags: dict[bytes, bytes]) -> bool:
    if b"A2B0" in tags or not tags.keys() >= {*_COLORANTS, b"rTRC", b"gTRC", b"bTRC"}:
        return False
    for name, expected in _COLORANTS.items():
        seen = struct.unpack_from(">3i", tags[name], 8)
        if any(abs(a / 65536 - b) > _NEAR for a, b in zip(seen, expected, strict=True)):
            return False
    return all(_is_srgb_curve(tags[name]) for name in (b"rTRC", b"gTRC", b"bTRC"))


def _is_srgb_curve(curve: bytes) -> bool:
    """A table, or the parametric kinds 3 and 4 (§10.6, §10.18)."""
    if curve[:4] == b"para":
        (kind,) = struct.unpack_from(">H", curve, 8)
        if kind not in (3, 4):
            return False
        g, a, b, c, d = (number / 65536 for number in struct.unpack_from(">5i", curve, 12))
        return all(
            abs(((a * x + b) ** g if x >= d else c * x) - _srgb(x)) <= _NEAR
            for x in (n / 16 for n in range(17))
        )
    (count,) = struct.unpack_from(">I", curve, 8)
    if curve[:4] != b"curv" or not 16 <= count <= 65_536:
        return False
    table = struct.unpack_from(f">{count}H", curve, 12)
    places = {round(n / 16 * (count - 1)) for n in range(17)}
    return all(abs(table[at] / 65535 - _srgb(at / (count - 1))) <= _NEAR for at in places)


def _srgb(value: float) -> float:
    """IEC 61966-2-1: the light that a value of 0 to 1 stands for."""
    return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4


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
