"""BMP: two headers and rows of pixels (Microsoft's BITMAPINFOHEADER family, OS/2's BITMAPCOREHEADER)."""

import mmap
import struct

from imagestore.errors import ImageInvalid
from imagestore.probe.outline import Outline, check_size, cut_short
from imagestore.settings import Limits

_CORE, _WITH_ALPHA_MASK = 12, 56
_RGB, _BITFIELDS, _ALPHA_BITFIELDS = 0, 3, 6
_RUN_LENGTH = frozenset({1, 2})
_DEPTHS = frozenset({1, 2, 4, 8, 16, 24, 32})


def read(data: mmap.mmap, limits: Limits) -> Outline:
    """Read the headers, and check that the rows of pixels are all there.

    Raises:
        ImageInvalid: as `probe` says.
    """
    pixels_at, header = struct.unpack_from("<II", data, 10)
    compression, size = _RGB, 0
    if header == _CORE:
        width, height, planes, depth = struct.unpack_from("<HHHH", data, 18)
    else:
        width, height, planes, depth, compression, size = struct.unpack_from("<iiHHII", data, 18)
    # A negative height tells that the rows go from the top down.
    height = abs(height)
    if planes != 1 or depth not in _DEPTHS:
        raise ImageInvalid(f"the bmp has {planes} planes of {depth} bits, which is none of the standard's")
    check_size(width, height, limits)
    if compression in (_RGB, _BITFIELDS, _ALPHA_BITFIELDS):
        size = (width * depth + 31) // 32 * 4 * height
    elif compression not in _RUN_LENGTH:
        raise ImageInvalid(f"the bmp is compressed in the way {compression}, expected none or run lengths")
    if pixels_at + size > len(data):
        raise cut_short("bmp", "rows of pixels are missing")
    alpha = (
        header >= _WITH_ALPHA_MASK and header != 64 and depth == 32 and struct.unpack_from("<I", data, 66)[0]
    )
    return Outline(width, height, bool(alpha))
