"""What happens to a picture in libvips once it is small: colours, turn, cut, effects, mark."""

from collections.abc import Callable
from dataclasses import dataclass

import pyvips

from imagestore.engines import Mark
from imagestore.engines.colour import LUMA, is_srgb
from imagestore.engines.geometry import Plan, place_mark, steps
from imagestore.engines.output import Colour, Output
from imagestore.engines.shapes import Box, Size
from imagestore.rendition import Rendition

_LARGE_SIGMA = 8


@dataclass(frozen=True)
class Stamp:
    """A watermark ready to be laid on: its pixels (sRGB with alpha) and where the first one goes."""

    image: pyvips.Image
    box: Box
    position: str
    margin: int


class Painter:
    """Finishes frames of one picture; all of them alike."""

    def __init__(self, plan: Plan, rendition: Rendition, output: Output, stamp: Stamp | None) -> None:
        self._plan = plan
        self._rendition = rendition
        self._output = output
        self._stamp = stamp
        self._window = plan.window

    def paint(self, frame: pyvips.Image) -> pyvips.Image:
        """`frame` is taken and resized; the result is ready for the encoder."""
        plan, wish = self._plan, self._rendition
        image = to_srgb(frame)
        if self._is_looked_at_twice():
            image = image.copy_memory()
        image = turned(image, plan.turn)
        if plan.cut is not None:
            image = self._cut(image, plan.cut)
        if wish.grayscale:
            image = _grey(image)
        if wish.blur is not None:
            image = _premultiplied(image, lambda colours: _blur(colours, wish.blur or 0))
        if wish.sharpen is not None:
            image = _sharpen(image, wish.sharpen)
        if self._output.background is not None:
            image = _over(image, self._output.background)
        if plan.pad is not None:
            image = _padded(image, plan.pad, self._output.bars)
        return image if self._stamp is None else _stamped(image, self._stamp)

    def _is_looked_at_twice(self) -> bool:
        """Whether a step asks for pixels in another order than the decoder gives them."""
        plan, wish = self._plan, self._rendition
        effects = wish.blur is not None or wish.sharpen is not None
        smart = plan.cut is not None and plan.window is None
        return plan.turn != 1 or effects or smart or self._stamp is not None

    def _cut(self, image: pyvips.Image, cut: Size) -> pyvips.Image:
        """An animation keeps the window of its first frame, so that the picture does not jump."""
        if self._window is None:
            found = image.smartcrop(cut.width, cut.height, interesting="attention")
            self._window = Box(-found.xoffset, -found.yoffset, cut.width, cut.height)
        window = self._window
        return image.crop(window.left, window.top, window.width, window.height)


def resize(image: pyvips.Image, size: Size) -> pyvips.Image:
    """Exactly `size`; colours of transparent pixels do not bleed into others."""
    if Size(image.width, image.height) == size:
        return image

    def scale(colours: pyvips.Image) -> pyvips.Image:
        across, down = size.width / image.width, size.height / image.height
        return colours.resize(across, vscale=down, kernel="lanczos3")

    return _premultiplied(image, scale)


def shrink(image: pyvips.Image, times: int) -> pyvips.Image:
    """The mean of each block of `times` x `times` pixels: a first, fast step of a resize."""
    return image if times == 1 else _premultiplied(image, lambda colours: colours.shrink(times, times))


def to_srgb(image: pyvips.Image) -> pyvips.Image:
    """8-bit sRGB, or 8-bit grey for a grey picture; alpha is kept."""
    grey = image.interpretation in ("b-w", "grey16")
    converted = _by_profile(image)
    if converted is not None:
        image = _first_band(converted) if grey else converted
    elif image.interpretation == "cmyk":
        image = _naive_cmyk(image)
    if image.interpretation not in ("b-w", "srgb"):
        image = image.colourspace("b-w" if grey else "srgb")
    return image.cast("uchar") if image.format != "uchar" else image


def turned(image: pyvips.Image, orientation: int) -> pyvips.Image:
    degrees, mirrored = steps(orientation)
    if degrees:
        image = image.rot(f"d{degrees}")
    return image.fliphor() if mirrored else image


def place(mark: Mark, picture: Size) -> Box:
    upright = Size(mark.facts.width, mark.facts.height)
    return place_mark(picture, upright, mark.position, mark.scale, mark.margin)


def faded(image: pyvips.Image, opacity: float) -> pyvips.Image:
    """sRGB with an alpha band that is multiplied by `opacity`."""
    image = _with_alpha(image.colourspace("srgb"))
    return image.linear([1, 1, 1, opacity], [0, 0, 0, 0]).rint().cast("uchar").copy(interpretation="srgb")


def _by_profile(image: pyvips.Image) -> pyvips.Image | None:
    """None when there is no profile, or none that can be used with this picture."""
    if not image.get_typeof("icc-profile-data") or is_srgb(bytes(image.get("icc-profile-data"))):
        return None
    try:
        return image.icc_transform("srgb", embedded=True, intent="perceptual", depth=8)
    except pyvips.Error:
        return None


def _first_band(image: pyvips.Image) -> pyvips.Image:
    grey = image.extract_band(0).copy(interpretation="b-w")
    return grey.bandjoin(image.extract_band(image.bands - 1)) if image.hasalpha() else grey


def _naive_cmyk(image: pyvips.Image) -> pyvips.Image:
    """Without a profile, the product of ink and black: what browsers show for such a file."""
    light = image.extract_band(0, n=3).linear(-1, 255)
    black = image.extract_band(3).linear(-1, 255)
    return (light * black / 255).rint().cast("uchar").copy(interpretation="srgb")


def _premultiplied(image: pyvips.Image, change: Callable[[pyvips.Image], pyvips.Image]) -> pyvips.Image:
    if not image.hasalpha():
        return change(image)
    kept, interpretation = image.format, image.interpretation
    changed = change(image.premultiply()).unpremultiply()
    return changed.rint().cast(kept).copy(interpretation=interpretation)


def _grey(image: pyvips.Image) -> pyvips.Image:
    if image.bands < 3:
        return image
    grey = image.extract_band(0, n=3).recomb([list(LUMA)]).rint().cast("uchar").copy(interpretation="b-w")
    return grey.bandjoin(image.extract_band(3)) if image.hasalpha() else grey


def _blur(image: pyvips.Image, sigma: float) -> pyvips.Image:
    """A wide blur has no fine detail left, so it is made on a smaller copy: the time of the exact
    one grows with sigma, and 100 on 16 megapixels takes longer than a render may."""
    if sigma <= _LARGE_SIGMA:
        return image.gaussblur(sigma, min_ampl=0.01)
    size = Size(image.width, image.height)
    factor = _LARGE_SIGMA / 2 / sigma
    small = image.resize(max(factor, 1 / size.width), vscale=max(factor, 1 / size.height), kernel="linear")
    soft = small.gaussblur(_LARGE_SIGMA / 2, min_ampl=0.01)
    return soft.resize(size.width / small.width, vscale=size.height / small.height, kernel="cubic")


def _sharpen(image: pyvips.Image, sigma: float) -> pyvips.Image:
    """Unsharp mask with amount 1: the picture plus what a blur takes from it."""
    colours = image.extract_band(0, n=image.bands - 1) if image.hasalpha() else image
    sharp = (colours * 2 - colours.gaussblur(sigma, min_ampl=0.01)).cast("uchar")
    sharp = sharp.copy(interpretation=image.interpretation)
    return sharp.bandjoin(image.extract_band(image.bands - 1)) if image.hasalpha() else sharp


def _over(image: pyvips.Image, colour: Colour) -> pyvips.Image:
    """The picture with `colour` behind it."""
    if not image.hasalpha():
        return image
    image = _fitting(image, colour)
    if colour[3] == 255:
        return image.flatten(background=list(colour[: image.bands - 1]))
    ground = (
        image.new_from_image(_bands(image, colour)).cast("uchar").copy(interpretation=image.interpretation)
    )
    return ground.composite2(image, "over").cast("uchar")


def _padded(image: pyvips.Image, pad: Box, colour: Colour) -> pyvips.Image:
    image = _fitting(image, colour)
    if colour[3] < 255:
        image = _with_alpha(image)
    ground = _bands(image, colour)
    return image.embed(pad.left, pad.top, pad.width, pad.height, extend="background", background=ground)


def _stamped(image: pyvips.Image, stamp: Stamp) -> pyvips.Image:
    """Only the part under the mark is blended."""
    overlay, box = stamp.image, stamp.box
    if stamp.position == "tile":
        overlay, box = _tiled(stamp, Size(image.width, image.height))
    if image.bands < 3:
        image = image.colourspace("srgb")
    under = image.crop(box.left, box.top, box.width, box.height)
    blended = under.composite2(overlay, "over").cast("uchar")
    if not image.hasalpha():
        blended = blended.extract_band(0, n=3)
    return image.insert(blended.copy(interpretation="srgb"), box.left, box.top)


def _tiled(stamp: Stamp, picture: Size) -> tuple[pyvips.Image, Box]:
    """Marks side by side with the margin between them, from the first one to the far edges."""
    room = Size(picture.width - stamp.box.left, picture.height - stamp.box.top)
    cell = stamp.image.embed(
        0,
        0,
        stamp.box.width + stamp.margin,
        stamp.box.height + stamp.margin,
        extend="background",
        background=[0] * 4,
    )
    tiles = cell.replicate(-(-room.width // cell.width), -(-room.height // cell.height))
    box = Box(stamp.box.left, stamp.box.top, room.width, room.height)
    return tiles.crop(0, 0, room.width, room.height), box


def _with_alpha(image: pyvips.Image) -> pyvips.Image:
    return image if image.hasalpha() else image.bandjoin(255)


def _fitting(image: pyvips.Image, colour: Colour) -> pyvips.Image:
    """A grey picture gets colours when something coloured is laid beside it."""
    return image.colourspace("srgb") if image.bands < 3 and len(set(colour[:3])) > 1 else image


def _bands(image: pyvips.Image, colour: Colour) -> list[int]:
    colours = list(colour[:3]) if image.bands >= 3 else [colour[0]]
    return [*colours, colour[3]] if image.hasalpha() else colours
