"""WebP: RIFF chunks around VP8 and VP8L pictures (RFC 9649)."""

import mmap
import struct
from collections.abc import Iterator

from imagestore.errors import ImageInvalid
from imagestore.probe.exif import orientation
from imagestore.probe.outline import Outline, Steps, check_frames, check_size, cut_short
from imagestore.settings import Limits

_MAX_CHUNKS = 20_000
_ALPHA, _ANIMATION = 0x10, 0x02
_KEY_FRAME = b"\x9d\x01\x2a"
_VP8L_SIGNATURE = 0x2F


def read(data: mmap.mmap, limits: Limits) -> Outline:
    """Walk the chunks that the RIFF header spans; bytes after it are left alone.

    Raises:
        ImageInvalid, ImageTooManyFrames, ImageTooComplex: as `probe` says.
    """
    end = 8 + int(struct.unpack_from("<I", data, 4)[0])
    if end > len(data):
        raise cut_short("webp", f"it has {len(data)} bytes and says {end}")
    if data[12:16] == b"VP8X":
        return _extended(data, end, limits)
    for kind, at, length in _chunks(data, 12, end):
        return _picture(data, kind, at, length)
    raise ImageInvalid("the webp file has no picture in it")


def _extended(data: mmap.mmap, end: int, limits: Limits) -> Outline:
    flags = data[20]
    width, height = _uint24(data, 24) + 1, _uint24(data, 27) + 1
    check_size(width, height, limits)
    still: Outline | None = None
    frames, turned = 0, 0
    for kind, at, length in _chunks(data, 12, end):
        if kind in (b"VP8 ", b"VP8L") and still is None:
            still = _picture(data, kind, at, length)
        elif kind == b"ANMF":
            frames += 1
            check_frames(frames, width * height * frames, limits)
            _check_inside(data, at, width, height)
        elif kind == b"EXIF" and not turned:
            turned = orientation(data[at : at + length])
    alpha = bool(flags & _ALPHA)
    if flags & _ANIMATION:
        if frames == 0:
            raise ImageInvalid("the animated webp has no frame in it")
        return Outline(width, height, alpha, turned or 1, frames)
    if still is None:
        raise ImageInvalid("the webp file has no picture in it")
    if (still.width, still.height) != (width, height):
        raise ImageInvalid(
            f"the webp says {width} x {height} pixels and holds a picture of {still.width} x {still.height}"
        )
    return Outline(width, height, alpha, turned or 1)


def _chunks(data: mmap.mmap, at: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Kind, place and length of each chunk; each begins at an even place."""
    steps = Steps("WebP chunks", _MAX_CHUNKS)
    while at + 8 <= end:
        steps.take()
        kind, length = struct.unpack_from("<4sI", data, at)
        if at + 8 + length > end:
            raise cut_short("webp", "a chunk is longer than the rest of the file")
        yield kind, at + 8, length
        at += 8 + length + (length & 1)


def _picture(data: mmap.mmap, kind: bytes, at: int, length: int) -> Outline:
    if kind == b"VP8 " and length >= 10 and data[at + 3 : at + 6] == _KEY_FRAME:
        width, height = struct.unpack_from("<HH", data, at + 6)
        # The upper two bits tell how to scale up when shown, which no decoder of still pictures does.
        return Outline(width & 0x3FFF, height & 0x3FFF)
    if kind == b"VP8L" and length >= 5 and data[at] == _VP8L_SIGNATURE:
        (bits,) = struct.unpack_from("<I", data, at + 1)
        return Outline((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1, bool(bits >> 28 & 1))
    raise ImageInvalid("the webp file begins with something that is no picture")


def _check_inside(data: mmap.mmap, at: int, width: int, height: int) -> None:
    left, top = 2 * _uint24(data, at), 2 * _uint24(data, at + 3)
    if left + _uint24(data, at + 6) + 1 > width or top + _uint24(data, at + 9) + 1 > height:
        raise ImageInvalid(f"a frame of the webp lies outside its {width} x {height} pixels")


def _uint24(data: mmap.mmap, at: int) -> int:
    low, high = struct.unpack_from("<HB", data, at)
    return int(low) | int(high) << 16
