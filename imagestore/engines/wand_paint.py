"""What happens to a picture in ImageMagick once it is small: colours, turn, cut, effects, mark."""

import contextlib
import ctypes
from dataclasses import dataclass
from types import TracebackType

from wand.api import library
from wand.color import Color
from wand.exceptions import WandException
from wand.image import Image
from wand.version import MAGICK_VERSION_INFO

from imagestore.engines import Mark
from imagestore.engines.attention import SIDE, find_attention
from imagestore.engines.colour import is_srgb, srgb_profile
from imagestore.engines.geometry import Plan, place_mark, steps
from imagestore.engines.output import Colour, Output
from imagestore.engines.shapes import Box, Size, centred
from imagestore.rendition import Rendition

_LARGE_SIGMA = 8
_WHITE = (255, 255, 255, 255)

library.MagickProfileImage.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p, ctypes.c_size_t]
library.MagickProfileImage.restype = ctypes.c_int


@dataclass(frozen=True)
class Stamp:
    """A watermark ready to be laid on: its pixels and where the first one goes."""

    image: Image
    box: Box
    position: str
    margin: int

    def __enter__(self) -> "Stamp":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.image.close()


class Painter:
    """Finishes frames of one picture; all of them alike."""

    def __init__(self, plan: Plan, rendition: Rendition, output: Output, stamp: Stamp | None) -> None:
        self._plan = plan
        self._rendition = rendition
        self._output = output
        self._stamp = stamp
        self._window = plan.window

    def paint(self, frame: Image) -> Image:
        """`frame` is taken and resized, and used up; the result is ready for the encoder."""
        plan, wish = self._plan, self._rendition
        to_srgb(frame)
        turn(frame, plan.turn)
        if plan.cut is not None:
            self._cut(frame, plan.cut)
        if wish.grayscale:
            frame.transform_colorspace("gray")
        if wish.blur is not None:
            _blur(frame, wish.blur)
        if wish.sharpen is not None:
            frame.unsharp_mask(radius=0, sigma=wish.sharpen, amount=1, threshold=0)
        if self._output.background is not None and frame.alpha_channel:
            frame = _laid_on(frame, Box(0, 0, *frame.size), self._output.background)
        if plan.pad is not None:
            frame = _laid_on(frame, plan.pad, self._output.bars)
        if self._stamp is not None:
            _stamp(frame, self._stamp)
        if self._output.format == "avif" and frame.alpha_channel and MAGICK_VERSION_INFO[0] < 7:
            # ImageMagick 6 writes AVIF without alpha, which would show what hides under it.
            frame = _laid_on(frame, Box(0, 0, *frame.size), _WHITE)
        if self._output.format == "jpeg":
            frame.alpha_channel = "off"
        frame.depth = 8
        if self._output.format == "gif" and self._output.animated:
            # Without dithering, which costs 90 ms a frame here and makes still parts flicker.
            frame.quantize(256, "srgb", 0, False, False)
        return frame

    def _cut(self, frame: Image, cut: Size) -> None:
        """An animation keeps the window of its first frame, so that the picture does not jump."""
        if self._window is None:
            self._window = _most_interesting(frame, cut)
        window = self._window
        frame.crop(window.left, window.top, width=window.width, height=window.height)
        frame.reset_coords()


def to_srgb(image: Image) -> None:
    """sRGB, or grey for a grey picture; alpha is kept."""
    space = colourspace(image)
    grey = space in ("gray", "lineargray")
    if "icc" in list(image.profiles) and not is_srgb(bytes(image.profiles["icc"])):
        _by_profile(image)
    if space in ("lineargray", "rgb"):
        # A PNG whose gAMA chunk says 1.0; gAMA is not looked at here, as in libvips.
        image.colorspace = "gray" if grey else "srgb"
    if colourspace(image) != ("gray" if grey else "srgb"):
        image.transform_colorspace("gray" if grey else "srgb")


def colourspace(image: Image) -> str:
    """ImageMagick's word for it; Wand has none for linear grey and gives an IndexError."""
    try:
        return str(image.colorspace)
    except IndexError:
        return "lineargray"


def turn(image: Image, orientation: int) -> None:
    degrees, mirrored = steps(orientation)
    if degrees:
        image.rotate(degrees)
        image.reset_coords()
    if mirrored:
        image.flop()
    image.orientation = "top_left"


def place(mark: Mark, picture: Size) -> Box:
    upright = Size(mark.facts.width, mark.facts.height)
    return place_mark(picture, upright, mark.position, mark.scale, mark.margin)


def fade(image: Image, opacity: float) -> None:
    """Multiplies alpha by `opacity`."""
    if not image.alpha_channel:
        image.alpha_channel = "opaque"
    image.evaluate(operator="multiply", value=opacity, channel="alpha")


def _by_profile(image: Image) -> None:
    """From the picture's own profile to sRGB; one that cannot be used counts as none.

    Wand's `profiles["icc"] = ...` only puts another label on the pixels.
    """
    profile = srgb_profile()
    if not library.MagickProfileImage(image.wand, b"icc", profile, len(profile)):
        with contextlib.suppress(WandException):
            image.raise_exception()


def _most_interesting(frame: Image, cut: Size) -> Box:
    size = Size(*frame.size)
    with frame.clone() as copy:
        if copy.alpha_channel:
            copy.background_color = Color("black")
            copy.alpha_channel = "remove"
        copy.resize(SIDE, SIDE, filter="lanczos")
        copy.transform_colorspace("srgb")
        pixels = copy.export_pixels(channel_map="RGB", storage="char")
    across, down = find_attention(pixels, (cut.width / size.width, cut.height / size.height))
    return centred(size, cut, int(across * size.width), int(down * size.height))


def _blur(image: Image, sigma: float) -> None:
    """A wide blur has no fine detail left, so it is made on a smaller copy: the time of the exact
    one grows with sigma, and 100 on 16 megapixels takes longer than a render may."""
    if sigma <= _LARGE_SIGMA:
        image.blur(radius=0, sigma=sigma)
        return
    width, height = image.size
    factor = _LARGE_SIGMA / 2 / sigma
    image.resize(max(1, round(width * factor)), max(1, round(height * factor)), filter="triangle")
    image.blur(radius=0, sigma=_LARGE_SIGMA / 2)
    image.resize(width, height, filter="catrom")


def _laid_on(image: Image, place: Box, colour: Colour) -> Image:
    """A canvas of the size of `place` with the picture on it; `image` is closed."""
    red, green, blue, alpha = colour
    canvas = Image(
        width=place.width,
        height=place.height,
        background=Color(f"#{red:02x}{green:02x}{blue:02x}{alpha:02x}"),
    )
    with image:
        canvas.composite(image, left=place.left, top=place.top)
    if alpha == 255:
        canvas.alpha_channel = "off"
    return canvas


def _stamp(image: Image, stamp: Stamp) -> None:
    if image.colorspace == "gray":
        image.transform_colorspace("srgb")
    if stamp.position != "tile":
        image.composite(stamp.image, left=stamp.box.left, top=stamp.box.top)
        return
    cell = Size(stamp.box.width + stamp.margin, stamp.box.height + stamp.margin)
    room = Size(image.width - stamp.box.left, image.height - stamp.box.top)
    clear = Color("#00000000")
    with (
        Image(width=cell.width, height=cell.height, background=clear) as tile,
        Image(width=room.width, height=room.height, background=clear) as tiles,
    ):
        tile.composite(stamp.image, left=0, top=0)
        tiles.texture(tile)
        image.composite(tiles, left=stamp.box.left, top=stamp.box.top)
