"""The format by the first bytes, whatever name or Content-Type says."""

import struct

from imagestore.errors import UnsupportedMediaType

HEAD_BYTES = 256
"""As many first bytes as `sniff` can use; for most formats 32 do."""

_MAGIC = (
    (b"\xff\xd8\xff", "jpeg"),
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"II*\0", "tiff"),
    (b"MM\0*", "tiff"),
)

_BMP_HEADERS = frozenset({12, 40, 52, 56, 64, 108, 124})
"""Lengths of the second header, OS/2 1.x to Windows V5; `BM` alone begins many a text."""

_AVIF_BRANDS = frozenset({b"avif", b"avis"})
_HEIC_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"})


def sniff(head: bytes) -> str:
    """The format in the words of `records.CONTENT_TYPES`.

    Raises:
        UnsupportedMediaType: it is none of them.
    """
    format = _by_magic(head) or _riff(head) or _bmp(head) or _isobmff(head)
    if format is None:
        raise UnsupportedMediaType(
            "the first bytes are of no known format, expected JPEG, PNG, GIF, WebP, AVIF, HEIC, TIFF or BMP"
        )
    return format


def _by_magic(head: bytes) -> str | None:
    # A camera's raw file (Canon CR2) is a TIFF whose first picture is not the photograph.
    if head[8:11] == b"CR\x02":
        return None
    return next((format for magic, format in _MAGIC if head.startswith(magic)), None)


def _riff(head: bytes) -> str | None:
    return "webp" if head[:4] == b"RIFF" and head[8:12] == b"WEBP" else None


def _bmp(head: bytes) -> str | None:
    if head[:2] != b"BM" or len(head) < 18:
        return None
    return "bmp" if struct.unpack_from("<I", head, 14)[0] in _BMP_HEADERS else None


def _isobmff(head: bytes) -> str | None:
    """The major brand decides, then the compatible ones (ISO/IEC 14496-12 §4.3, 23008-12 §10)."""
    if head[4:8] != b"ftyp" or len(head) < 16:
        return None
    end = min(struct.unpack_from(">I", head)[0], len(head))
    compatible = {head[at : at + 4] for at in range(16, end - 3, 4)}
    for brands in ({head[8:12]}, compatible):
        if brands & _AVIF_BRANDS:
            return "avif"
        if brands & _HEIC_BRANDS:
            return "heic"
    return None
