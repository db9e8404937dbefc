"""Whether ImageMagick keeps to our policy in this process."""

from wand.color import Color
from wand.exceptions import MissingDelegateError, PolicyError, WandException
from wand.image import Image

_DENIED = {
    "svg": b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><rect width="9" height="9"/></svg>',
    "mvg": b"viewbox 0 0 9 9 rectangle 1,1 5,5",
    "text": b"text",
}


def check_policy() -> None:
    """Prove that the policy of this process is ours.

    Raises:
        RuntimeError: ImageMagick would read a format that is not stored, or cannot write a JPEG.
    """
    for name, data in _DENIED.items():
        with Image() as image:
            try:
                image.read(blob=data, format=name)
            except (PolicyError, MissingDelegateError):
                # The second: this build has no such coder at all (Debian 13 without -extra has no SVG).
                continue
            except WandException as error:
                raise RuntimeError(f"ImageMagick's policy does not refuse {name.upper()}") from error
            raise RuntimeError(
                f"ImageMagick's policy does not refuse {name.upper()}; see MAGICK_CONFIGURE_PATH"
            )
    try:
        with Image(width=8, height=8, background=Color("white")) as white, Image() as again:
            again.read(blob=white.make_blob("jpeg"), format="jpeg")
    except WandException as error:
        raise RuntimeError("ImageMagick cannot write and read a JPEG") from error
