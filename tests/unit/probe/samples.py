"""Pictures for the probe."""

import io
import struct
from collections.abc import Callable

from imagestore.records import Facts
from imagestore.settings import Limits
from tests.pictures import encode, plain, png_16_bit, talkative, texture

LIMITS = Limits()

Read = Callable[..., Facts]

STILLS = {
    "jpeg": encode(texture(90, 70), "jpeg"),
    "jpeg progressive": encode(texture(90, 70), "jpeg", progressive=True),
    "jpeg with restarts": encode(texture(90, 70), "jpeg", restart_marker_rows=1),
    "jpeg grey": encode(texture(90, 70).convert("L"), "jpeg"),
    "jpeg cmyk": encode(texture(90, 70).convert("CMYK"), "jpeg"),
    "jpeg with all metadata": talkative(texture(90, 70)),
    "png": encode(texture(90, 70), "png"),
    "png alpha": encode(plain((9, 9, 9, 50)), "png"),
    "png 16 bits": png_16_bit(),
    "png 16 bits grey and alpha": png_16_bit(colour=(9, 9)),
    "png with all metadata": talkative(texture(90, 70), "png"),
    "gif": encode(texture(90, 70), "gif"),
    "webp": encode(texture(91, 70), "webp"),
    "webp lossless": encode(texture(91, 70), "webp", lossless=True),
    "webp alpha": encode(plain((9, 9, 9, 50)), "webp"),
    "webp lossless alpha": encode(plain((9, 9, 9, 50)), "webp", lossless=True),
    "webp with all metadata": talkative(texture(90, 70), "webp"),
    "avif": encode(texture(91, 71), "avif"),
    "avif alpha": encode(plain((9, 9, 9, 50)), "avif"),
    "tiff": encode(texture(90, 70), "tiff"),
    "tiff alpha": encode(plain((9, 9, 9, 50)), "tiff"),
    "tiff lzw": encode(texture(90, 70), "tiff", compression="tiff_lzw"),
    "bmp": encode(texture(91, 70), "bmp"),
    "bmp palette": encode(texture(91, 70).convert("P"), "bmp"),
    "bmp one bit": encode(texture(91, 70).convert("1"), "bmp"),
}


def several(format: str, count: int, **options: object) -> bytes:
    body = io.BytesIO()
    pages = [texture(40, 30, seed) for seed in range(count)]
    pages[0].save(body, format, save_all=True, append_images=pages[1:], **options)
    return body.getvalue()


def box(kind: bytes, *content: bytes) -> bytes:
    body = b"".join(content)
    return struct.pack(">I4s", 8 + len(body), kind) + body


def heif(properties: list[bytes], order: list[int], *, more: bytes = b"", brand: bytes = b"heic") -> bytes:
    """A file whose primary item 1 has the `properties` numbered in `order` (ISO/IEC 23008-12 §9.3)."""
    associations = bytes([len(order), *order])
    return box(b"ftyp", brand, bytes(4), b"mif1", brand) + box(
        b"meta",
        bytes(4),
        box(b"pitm", bytes(4), b"\0\1"),
        box(b"iprp", box(b"ipco", *properties), box(b"ipma", bytes(4), b"\0\0\0\1\0\1", associations)),
        more,
    )


def ispe(width: int, height: int) -> bytes:
    return box(b"ispe", bytes(4), struct.pack(">II", width, height))
