"""A still picture of libvips as WebP, by the libwebp in Pillow's wheel.

The libwebp in libvips' own wheel is of the same version and gives the same bytes, but is built to be
small: it takes 1.25 times as long (docs/performance.md). Nothing is ever decoded by Pillow.
"""

import io

import pyvips
from PIL import Image, WebPImagePlugin  # noqa: F401 - the plug-in registers itself

# Once and before any fork, not at the first picture of each decoder.
Image.preinit()

_MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}


def encode_webp(image: pyvips.Image, *, quality: int, effort: int) -> bytes:
    """`image` has 8 bits and 1 to 4 bands, grey or sRGB; `quality` 1 to 100, `effort` 0 to 6. No metadata.

    Raises:
        MemoryError: it takes more memory than there may be.
    """
    mode = _MODES[image.bands]
    pixels = Image.frombuffer(mode, (image.width, image.height), image.write_to_memory(), "raw", mode, 0, 1)
    body = io.BytesIO()
    try:
        pixels.save(body, "WEBP", quality=quality, method=effort)
    except ValueError as error:
        # libwebp has nothing else to say against a picture of a rendition's size.
        raise MemoryError("the picture needs more memory than a render may take") from error
    return body.getvalue()
