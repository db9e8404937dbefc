"""What the bytes of a picture say about it, by our own reading of headers and structure.

No picture library is asked: ImageMagick's ping takes gigabytes for a hostile GIF of 2 MB and reports
a wrong size for it (hazards M3). Work and memory are bounded here: every format's reader has a limit
of steps, and none decodes a pixel. So a picture that passes may still be broken; `Engine.inspect`
decodes it.
"""

import mmap
import struct
from collections.abc import Callable, Mapping
from pathlib import Path

from imagestore.errors import ImageInvalid
from imagestore.probe import bmp, gif, isobmff, jpeg, png, tiff, webp
from imagestore.probe.outline import Outline, check_frames, check_size
from imagestore.probe.signature import HEAD_BYTES, sniff
from imagestore.records import Facts
from imagestore.settings import Limits

__all__ = ["HEAD_BYTES", "probe", "sniff"]

_READERS: Mapping[str, Callable[[mmap.mmap, Limits], Outline]] = {
    "jpeg": jpeg.read,
    "png": png.read,
    "gif": gif.read,
    "webp": webp.read,
    "avif": isobmff.read,
    "heic": isobmff.read,
    "tiff": tiff.read,
    "bmp": bmp.read,
}

_ANIMATED = frozenset({"gif", "webp"})
"""Formats whose frames the engines can show; of others they show the first picture."""


def probe(path: Path, limits: Limits) -> Facts:
    """The facts of a picture file. A 32 MB file takes at most about a second, however hostile.

    `frames` is 1 but for GIF and WebP; frames of APNG, pages of TIFF and images of AVIF and HEIC
    sequences are counted for the limits only.

    Raises:
        UnsupportedMediaType: the first bytes are not of an allowed format.
        ImageInvalid: the structure is broken or cut short, or a side is 0.
        ImageTooLarge, ImageTooManyFrames: over `limits`.
        ImageTooComplex: texts that inflate, scans without end, nesting and the like.
    """
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
        format = sniff(head)
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            try:
                seen = _READERS[format](data, limits)
            except (struct.error, IndexError) as error:
                raise ImageInvalid(f"the {format} file ends in the middle of its structure") from error
    check_size(seen.width, seen.height, limits)
    check_frames(seen.frames, seen.total_pixels, limits)
    # Orientations 5 to 8 lie on their side (EXIF 2.32 §4.6.4).
    width, height = (seen.height, seen.width) if seen.orientation >= 5 else (seen.width, seen.height)
    frames = seen.frames if format in _ANIMATED else 1
    return Facts(format, width, height, frames, seen.orientation, seen.alpha)
