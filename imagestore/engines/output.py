"""Which format a picture leaves in, and what follows from that; pure decisions of both engines."""

from dataclasses import dataclass

from imagestore.records import Facts
from imagestore.rendition import Rendition
from imagestore.settings import Encoding

_SHOWN_BY_BROWSERS = frozenset({"jpeg", "png", "gif", "webp", "avif"})
_ANIMATED = frozenset({"gif", "webp"})
_WHITE = (255, 255, 255, 255)
_CLEAR = (255, 255, 255, 0)

Colour = tuple[int, int, int, int]
"""Red, green, blue and alpha, 0 to 255."""


@dataclass(frozen=True, slots=True)
class Output:
    """`background` is what lies behind transparent parts, None to leave them transparent; `bars`
    is the colour of what `pad` adds; `effort` is the encoder's own number."""

    format: str
    animated: bool
    quality: int
    effort: int
    background: Colour | None
    bars: Colour


def choose_output(facts: Facts, rendition: Rendition, encoding: Encoding) -> Output:
    """Settle everything about the encoding before the original is opened."""
    format_ = _format(facts, rendition.format)
    background = None if rendition.background is None else _colour(rendition.background)
    if format_ == "jpeg":
        background = _WHITE if background is None else _over_white(background)
    qualities = {"jpeg": encoding.jpeg_quality, "webp": encoding.webp_quality, "avif": encoding.avif_quality}
    efforts = {"webp": encoding.webp_effort, "avif": encoding.avif_effort}
    return Output(
        format_,
        animated=is_animated(facts) and format_ in _ANIMATED,
        quality=rendition.quality or qualities.get(format_, 100),
        effort=efforts.get(format_, 0),
        background=background,
        bars=background or _CLEAR,
    )


def is_animated(facts: Facts) -> bool:
    """Pages of a TIFF and items of a HEIF file are no animation."""
    return facts.frames > 1 and facts.format in _ANIMATED


def _format(facts: Facts, wish: str | None) -> str:
    """`auto` keeps what a picture needs in a format that every browser knows: GIF when it moves, PNG
    for transparency and for what was PNG or GIF (drawings suffer in JPEG), else JPEG."""
    if wish == "auto-avif":
        return "webp" if is_animated(facts) else "avif"
    if wish == "auto-webp":
        return "webp"
    if wish is not None and wish != "auto":
        return wish
    if wish is None and facts.format in _SHOWN_BY_BROWSERS:
        return facts.format
    if is_animated(facts):
        return "gif"
    return "png" if facts.alpha or facts.format in ("png", "gif") else "jpeg"


def _colour(digits: str) -> Colour:
    red, green, blue = (int(digits[at : at + 2], 16) for at in (0, 2, 4))
    return red, green, blue, int(digits[6:8] or "ff", 16)


def _over_white(colour: Colour) -> Colour:
    red, green, blue = ((part * colour[3] + 255 * (255 - colour[3]) + 127) // 255 for part in colour[:3])
    return red, green, blue, 255
