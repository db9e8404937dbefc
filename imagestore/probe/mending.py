"""Pictures that were cut short on their way, as far as their headers still tell what they are.

Decoders show what there is of them; only their structure lacks its end, which is added here, so
that the same readers and decoders take it. Zeros stand for the pixels that did not come. What is made
here is never stored: the original stays as it came, and is mended anew for each decode.
"""

import struct
from collections.abc import Callable, Mapping

from imagestore.errors import ImageInvalid

_EXIF_AND_XMP = 0x0C
"""Flags of a VP8X chunk (RFC 9649 §2.7)."""

_PNG_END = struct.pack(">I4sI", 0, b"IEND", 0xAE426082)
"""An empty IEND chunk with its checksum (W3C PNG §11.2.5)."""


def mended(data: bytes, format: str, *, max_bytes: int) -> bytes:
    """`data` with the end that its structure lacks, at most `max_bytes` in all.

    Raises:
        ImageInvalid: nothing can be said of this picture without its end.
    """
    try:
        return _MENDERS[format](data, max_bytes)
    except struct.error as error:
        raise ImageInvalid(f"the {format} file is cut short before its picture begins") from error


def _jpeg(data: bytes, max_bytes: int) -> bytes:
    return data + b"\xff\xd9"


def _png(data: bytes, max_bytes: int) -> bytes:
    """The chunk that is cut is filled up, if it is one of pixels."""
    at = 8
    while at + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        end = at + 8 + length + 4
        if end > len(data):
            if kind != b"IDAT" or end > max_bytes:
                raise ImageInvalid("the png file is cut short before its pixels")
            return data + bytes(end - len(data)) + _PNG_END
        at = end
    return data[:at] + _PNG_END


def _gif(data: bytes, max_bytes: int) -> bytes:
    """A cut sub-block takes 255 bytes at most; zeros end a chain, and are passed over after it."""
    return data + bytes(256) + b"\x3b"


def _webp(data: bytes, max_bytes: int) -> bytes:
    """The picture or the first frame that is cut is filled up; a later frame, and anything else, is
    left away (RFC 9649 §2.3 to §2.7)."""
    at, frames = 12, 0
    while at + 8 <= len(data):
        kind, length = struct.unpack_from("<4sI", data, at)
        end = at + 8 + length + (length & 1)
        if end > len(data):
            if kind in (b"VP8 ", b"VP8L") or (kind == b"ANMF" and not frames):
                if end > max_bytes:
                    raise ImageInvalid("the webp file is cut short, and does not say by how much")
                return _webp_of(data[12:] + bytes(end - len(data)))
            break
        frames += kind == b"ANMF"
        at = end
    return _webp_of(data[12:at])


def _webp_of(chunks: bytes) -> bytes:
    if chunks.startswith(b"VP8X"):
        # What comes last, EXIF and XMP, is not announced any more.
        chunks = chunks[:8] + bytes([chunks[8] & ~_EXIF_AND_XMP]) + chunks[9:]
    return struct.pack("<4sI4s", b"RIFF", 4 + len(chunks), b"WEBP") + chunks


def _bmp(data: bytes, max_bytes: int) -> bytes:
    """Up to the length that its header says; 0 there is no length."""
    length, _, pixels_at = struct.unpack_from("<III", data, 2)
    if len(data) <= pixels_at:
        raise ImageInvalid("the bmp file is cut short before its pixels")
    return data + bytes(max(0, min(length or max_bytes, max_bytes) - len(data)))


def _boxes(data: bytes, max_bytes: int) -> bytes:
    """The top-level box that is cut is filled up (ISO/IEC 14496-12 §4.2)."""
    at = 0
    while at + 8 <= len(data):
        (size,) = struct.unpack_from(">I", data, at)
        if size == 1 and at + 16 <= len(data):
            (size,) = struct.unpack_from(">Q", data, at + 8)
        if size == 0:
            break
        if size < 8 or at + size > max_bytes:
            raise ImageInvalid("the file is cut short, and does not say by how much")
        at += size
    return data + bytes(max(0, at - len(data)))


def _tiff(data: bytes, max_bytes: int) -> bytes:
    """Its beginning may say where things are, so there are zeros wherever they can be."""
    return data + bytes(max_bytes - len(data))


_MENDERS: Mapping[str, Callable[[bytes, int], bytes]] = {
    "jpeg": _jpeg,
    "png": _png,
    "gif": _gif,
    "webp": _webp,
    "bmp": _bmp,
    "tiff": _tiff,
    "avif": _boxes,
    "heic": _boxes,
}
