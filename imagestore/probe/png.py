"""PNG: a chain of chunks (W3C PNG, third edition, §5 and §11)."""

import mmap
import struct
import zlib

from imagestore.errors import ImageInvalid, ImageTooComplex
from imagestore.probe.exif import orientation
from imagestore.probe.outline import Outline, Steps, cut_short
from imagestore.settings import Limits

MAX_TEXTS = 100
MAX_INFLATED = 1 << 20
"""Bytes of one text or colour profile (promises §3): 100 texts in 0.39 MB took 1.93 GB (hazards M2)."""

_MAX_CHUNKS = 100_000
_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
"""Bit depths by colour type (§11.2.1)."""
_WITH_ALPHA = frozenset({4, 6})


def read(data: mmap.mmap, limits: Limits) -> Outline:
    """Walk to the IEND chunk; bytes after it are left alone.

    Raises:
        ImageInvalid, ImageTooComplex: as `probe` says.
    """
    width, height, alpha = _header(data)
    turned, frames, pixels = 0, 1, False
    steps = Steps("PNG chunks", _MAX_CHUNKS)
    texts = Steps("PNG texts and profiles", MAX_TEXTS)
    at = 8
    while True:
        steps.take()
        length, kind = struct.unpack_from(">I4s", data, at)
        body = at + 8
        at = body + length + 4
        if at > len(data):
            raise cut_short("png", "a chunk is longer than the rest of the file")
        if kind == b"IEND":
            break
        if kind == b"IDAT":
            pixels = True
        elif kind == b"tRNS":
            alpha = True
        elif kind == b"eXIf" and not turned:
            turned = orientation(data[body : body + length])
        elif kind == b"acTL":
            frames = max(1, struct.unpack_from(">I", data, body)[0])
        elif kind in (b"tEXt", b"zTXt", b"iTXt"):
            texts.take()
            _check_inflated(_compressed_text(kind, data[body : body + length]))
        elif kind == b"iCCP":
            texts.take()
            _check_inflated(_after(b"\0", data[body : body + length])[1:])
    if not pixels:
        raise ImageInvalid("the png file has no picture in it")
    return Outline(width, height, alpha, turned or 1, frames)


def _header(data: mmap.mmap) -> tuple[int, int, bool]:
    length, kind, width, height, depth, colour, compression, filtering, interlace = struct.unpack_from(
        ">I4sIIBBBBB", data, 8
    )
    if length != 13 or kind != b"IHDR":
        raise ImageInvalid("the png file does not begin with its header")
    if depth not in _DEPTHS.get(colour, ()) or compression or filtering or interlace > 1:
        raise ImageInvalid(
            f"the png has colour type {colour} with {depth} bits, which is none of the standard's"
        )
    return width, height, colour in _WITH_ALPHA


def _compressed_text(kind: bytes, text: bytes) -> bytes:
    """The zlib stream in a text chunk; empty where it is not compressed (§11.3.3)."""
    rest = _after(b"\0", text)
    if kind == b"zTXt":
        return rest[1:]
    if kind == b"iTXt" and rest[:1] == b"\1":
        return _after(b"\0", _after(b"\0", rest[2:]))
    return b""


def _after(separator: bytes, data: bytes) -> bytes:
    return data.partition(separator)[2]


def _check_inflated(stream: bytes) -> None:
    # A broken stream is for the decoder to pass over, as all of them do with texts.
    try:
        inflated = zlib.decompressobj().decompress(stream, MAX_INFLATED + 1)
    except zlib.error:
        return
    if len(inflated) > MAX_INFLATED:
        raise ImageTooComplex(f"a text or profile in the png inflates to more than {MAX_INFLATED} bytes")
