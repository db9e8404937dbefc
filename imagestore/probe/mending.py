"""Pictures that were cut short on their way, as far as their headers still tell what they are.

Decoders show what there is of them; only their structure lacks its end, which is added here, so
that the same readers can judge it. What is made here is never decoded or stored.
"""

import struct
from collections.abc import Callable, Mapping

from imagestore.errors import ImageInvalid

_PNG_END = struct.pack(">I4sI", 0, b"IEND", 0xAE426082)
"""An empty IEND chunk with its checksum (W3C PNG §11.2.5)."""


def mended(data: bytes, format: str, *, max_bytes: int) -> bytes:
    """`data` with the end that its structure lacks, at most `max_bytes` in all.

    Raises:
        ImageInvalid: nothing can be said of this picture without its end.
    """
    mend = _MENDERS.get(format)
    if mend is None:
        raise ImageInvalid(f"the {format} file is cut short, and cannot be shown in part")
    return mend(data, max_bytes)


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
    end = 8 + int(struct.unpack_from("<I", data, 4)[0]) if len(data) >= 8 else 0
    if not len(data) < end <= max_bytes:
        raise ImageInvalid("the webp file is cut short, and does not say by how much")
    return data + bytes(end - len(data))


_MENDERS: Mapping[str, Callable[[bytes, int], bytes]] = {
    "jpeg": _jpeg,
    "png": _png,
    "gif": _gif,
    "webp": _webp,
}
"""Of the other formats either the beginning says where the end is, or nothing is shown without it."""
