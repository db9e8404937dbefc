"""The pixels of a JPEG for libvips, by the libjpeg-turbo in simplejpeg's wheel.

The libjpeg-turbo in libvips' own wheel is built to be small: it takes 1.3 times as long for the same
pixels (docs/performance.md). libvips reads the header and all that is in it, and decodes the rare files
that are left to it.
"""

from pathlib import Path

import pyvips
import simplejpeg

_COLOURS = {1: "GRAY", 3: "RGB"}
"""By bands; CMYK is left to libvips."""

_MOST_PIXELS = 16_000_000
"""Of the frame, which is held whole: 48 MB. libvips lets larger ones through in strips."""

_PROFILE = "icc-profile-data"


def decoded(opened: pyvips.Image, source: Path, *, times: int, strictly: bool = False) -> pyvips.Image:
    """What libvips has opened of `source`, `times` (8, 4, 2 or 1) smaller than it is stored, with its pixels
    and its colour profile.

    It is given back as it came, for libvips to decode, if its colours are CMYK, or it is very large, or too
    broken; if `strictly`, also if there is anything about it to complain of.
    """
    colours = _COLOURS.get(opened.bands)
    if colours is None or opened.width * opened.height > _MOST_PIXELS:
        return opened
    try:
        pixels = simplejpeg.decode_jpeg(
            source.read_bytes(),
            colours,
            min_width=opened.width,
            min_height=opened.height,
            min_factor=times,
            strict=strictly,
        )
    except ValueError:
        return opened
    height, width, bands = pixels.shape
    # `copy_memory` of what is in memory gives the same, without pyvips' hold on the pixels; not so of a copy.
    frame = pyvips.Image.new_from_memory(pixels, width, height, bands, "uchar").copy()
    if (width, height) != (opened.width, opened.height):
        # Of a side that is no multiple of `times` the last pixel is partly made up; libvips leaves it out.
        frame = frame.crop(0, 0, opened.width, opened.height)
    if opened.get_typeof(_PROFILE):
        frame.set_type(pyvips.GValue.blob_type, _PROFILE, opened.get(_PROFILE))
    return frame
