"""Which picture is wanted: size, fit, format, watermark.

A `Rendition` says nothing about which image, who asks, or how the answer travels. Its `key` is the
one canonical spelling: known parameters only, aliases folded, defaults and parameters without
effect dropped, fixed order. `Rendition.parse(r.key) == r` for every rendition; the empty key is
the original.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from decimal import ROUND_HALF_UP, Decimal
from functools import cached_property
from typing import Any

from imagestore.accepting import accept_class
from imagestore.errors import InvalidKey, InvalidParameter, InvalidRequest
from imagestore.grammar import Grammar, boolean, choice, colour, decimal, integer, spell
from imagestore.names import DKEY_SCHEMA, check_dkey
from imagestore.query import parse_query

MAX_SIDE = 4096
"""Longest side of a rendition, pixels; so none has more than 16.8 megapixels (promises §12)."""

MAX_DPR = 4

FITS = ("inside", "outside", "cover", "pad", "stretch")
FORMATS = ("jpeg", "png", "webp", "avif", "gif")
AUTO_FORMATS = ("auto", "auto-webp", "auto-avif")
"""`auto` as negotiated: for clients that name neither WebP nor AVIF in Accept, only WebP, or AVIF."""

COMPASS = ("center", "north", "south", "east", "west", "northeast", "northwest", "southeast", "southwest")

_FIT_SYNONYMS = {"limit": "inside", "clip": "inside", "max": "inside", "crop": "cover", "thumb": "cover"}
_FIT_SYNONYMS |= {"force": "stretch", "scale": "stretch"}
_FIT_AMBIGUOUS = {"fill": "cover (crops) or stretch (distorts)", "contain": "inside (no bars) or pad (bars)"}
_COMPASS_SYNONYMS = {"centre": "center", "c": "center", "n": "north", "s": "south", "e": "east", "w": "west"}
_COMPASS_SYNONYMS |= {"ne": "northeast", "nw": "northwest", "se": "southeast", "sw": "southwest"}
_COMPASS_SYNONYMS |= {"top": "north", "bottom": "south", "left": "west", "right": "east"}
_TURNS = ("0", "90", "180", "270")
_FLIPS = {"h": "horizontal", "v": "vertical", "hv": "both", "vh": "both"}
ALIASES = {"w": "width", "h": "height", "q": "quality"}


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a rendition: what it may be, and in a sentence what it does."""

    grammar: Grammar[Any]
    means: str


@dataclass(frozen=True)
class Rendition:
    """A wish for a picture; field order is the order of the canonical key.

    Sizes are pixels of the result (`dpr` is already multiplied in). `crop` counts in pixels of the
    upright original, or in percent of it with the prefix `pct:`. The order of work is: EXIF
    orientation, `crop`, `rotate` (clockwise), `flip`, resize by `fit`, `grayscale`, `blur`,
    `sharpen`, the bars of `pad`, `watermark`, encoding.
    """

    width: int | None = None
    """1 to 4096."""
    height: int | None = None
    """1 to 4096."""
    fit: str = "inside"
    """One of FITS; only told apart when width and height are both given."""
    enlarge: bool = False
    """Whether a small original may grow to the wanted size."""
    gravity: str = "center"
    """For cover and pad: a compass name, `smart`, or `x,y` from 0 to 1 (the point to keep in view)."""
    crop: str | None = None
    """`x,y,w,h` or `pct:x,y,w,h`; parts outside the picture are cut off."""
    rotate: int = 0
    """0, 90, 180 or 270 degrees clockwise."""
    flip: str | None = None
    """horizontal (left and right change places), vertical, or both."""
    grayscale: bool = False
    blur: float | None = None
    """Gaussian sigma in pixels of the result, 0.3 to 100."""
    sharpen: float | None = None
    """Gaussian sigma of the unsharp mask in pixels of the result, 0.3 to 10."""
    background: str | None = None
    """`rrggbb` or `rrggbbaa`; None is transparent where the format can be, else white."""
    format: str | None = None
    """One of FORMATS or AUTO_FORMATS; None keeps the original's where browsers know it."""
    quality: int | None = None
    """1 to 100 for lossy formats; None is the server's default for the format."""
    watermark: str | None = None
    """dkey of a picture of the domain `watermark`."""
    watermark_position: str | None = None
    """A compass name or `tile`; None is the mark's own default, else southeast."""
    watermark_opacity: float | None = None
    """0.01 to 1; None is the mark's own default, else 1."""
    watermark_scale: float | None = None
    """Width of the mark as a part of the picture's, 0.01 to 1; None is the mark's default, else its size."""
    watermark_margin: int | None = None
    """Distance from the edges in pixels, 0 to 1000; None is the mark's own default, else 10."""

    @classmethod
    def parse(cls, query: str) -> "Rendition":
        """The rendition that a raw query string asks for.

        Raises:
            InvalidRequest: an unknown or a repeated parameter.
            InvalidParameter: a value outside its grammar, or a parameter that needs another one.
        """
        return cls.from_parameters(parse_query(query))

    @classmethod
    def from_parameters(cls, parameters: Mapping[str, str]) -> "Rendition":
        """The same, from parameters that are already decoded; raises as `parse` does."""
        values: dict[str, Any] = {}
        for given, text in parameters.items():
            name = ALIASES.get(given, given)
            if name not in PARAMETERS:
                raise InvalidRequest(
                    f"parameter {given!r} is unknown; see the list of parameters in the documentation"
                )
            if name in values:
                raise InvalidRequest(
                    f"parameter {name!r} is given more than once (as {given!r} too), expected once"
                )
            values[name] = PARAMETERS[name].grammar(name, text)
        _check_needs(values)
        return _without_effectless(cls(**_multiply_dpr(values)))

    @cached_property
    def key(self) -> str:
        """The canonical query string; empty for the original."""
        parts = []
        for field in fields(self):
            value = getattr(self, field.name)
            if value != field.default:
                parts.append(f"{field.name}={spell(value)}")
        return "&".join(parts)

    @property
    def is_original(self) -> bool:
        return self == _ORIGINAL

    def negotiated(self, accept: str) -> "Rendition":
        """`format=auto` settled for a client with this Accept header; others stay as they are."""
        kind = accept_class(accept)
        return replace(self, format=f"auto-{kind}") if self.format == "auto" and kind else self


def _fit(name: str, text: str) -> str:
    if text in _FIT_AMBIGUOUS:
        raise InvalidParameter(
            name, f"{name}={text} means different things elsewhere; use {_FIT_AMBIGUOUS[text]}"
        )
    return choice(FITS, _FIT_SYNONYMS)(name, text)


def _gravity(name: str, text: str) -> str:
    if "," not in text:
        return choice((*COMPASS, "smart"), _COMPASS_SYNONYMS)(name, text)
    numbers = text.split(",")
    if len(numbers) != 2:
        raise InvalidParameter(name, f"{name} is {text[:40]!r}, expected x,y with both from 0 to 1")
    return ",".join(spell(decimal("0", "1")(name, number)) for number in numbers)


def _crop(name: str, text: str) -> str:
    percent = text.startswith("pct:")
    numbers = text.removeprefix("pct:").split(",")
    if len(numbers) != 4:
        raise InvalidParameter(name, f"{name} is {text[:60]!r}, expected x,y,w,h or pct:x,y,w,h")
    parse = decimal("0", "100") if percent else integer(0, 65535)
    values = [parse(name, number) for number in numbers]
    if not (values[2] > 0 and values[3] > 0):
        raise InvalidParameter(name, f"{name} is {text[:60]!r}, expected a width and a height above 0")
    return ("pct:" if percent else "") + ",".join(spell(value) for value in values)


def _rotate(name: str, text: str) -> int:
    return int(choice(_TURNS)(name, text))


def _mark(name: str, text: str) -> str:
    try:
        return check_dkey(text)
    except InvalidKey as error:
        raise InvalidParameter(name, f"{name} is no valid dkey: {error.detail}") from error


_NUMBER = r"[0-9]{1,9}(\.[0-9]{1,4})?"

_GRAVITY = Grammar(
    _gravity,
    {
        "anyOf": [
            choice((*COMPASS, "smart"), _COMPASS_SYNONYMS).schema,
            {"type": "string", "pattern": rf"^{_NUMBER},{_NUMBER}$"},
        ]
    },
)
_CROP = Grammar(
    _crop,
    {
        "type": "string",
        "pattern": rf"^([0-9]{{1,5}}(,[0-9]{{1,5}}){{3}}|pct:{_NUMBER}(,{_NUMBER}){{3}})$",
        "examples": ["0,0,200,100", "pct:25,25,50,50"],
    },
)
_POSITION = choice((*COMPASS, "tile"), _COMPASS_SYNONYMS)

PARAMETERS: Mapping[str, Parameter] = {
    "width": Parameter(integer(1, MAX_SIDE), "Pixels; alone it keeps the ratio."),
    "height": Parameter(integer(1, MAX_SIDE), "Pixels; alone it keeps the ratio."),
    "dpr": Parameter(decimal("0.1", str(MAX_DPR)), "Multiplies width, height and watermark_margin."),
    "fit": Parameter(
        Grammar(_fit, choice(FITS, _FIT_SYNONYMS).schema),
        "What becomes of another ratio, when width and height are given: inside (default) and outside keep "
        "it, cover cuts, pad adds bars, stretch distorts.",
    ),
    "enlarge": Parameter(boolean, "Whether a small original may grow; 0 by default."),
    "gravity": Parameter(
        _GRAVITY, "Which part cover keeps, and where pad puts the picture; or `x,y`, 0 to 1."
    ),
    "crop": Parameter(_CROP, "`x,y,w,h` in pixels of the upright original, or in percent; comes first."),
    "rotate": Parameter(Grammar(_rotate, choice(_TURNS).schema), "Degrees clockwise, after crop."),
    "flip": Parameter(choice(("horizontal", "vertical", "both"), _FLIPS), "Mirrors, after rotate."),
    "grayscale": Parameter(boolean, "Without colours."),
    "blur": Parameter(decimal("0.3", "100"), "Gaussian sigma in pixels of the result."),
    "sharpen": Parameter(decimal("0.3", "10"), "Gaussian sigma of the unsharp mask in pixels of the result."),
    "background": Parameter(colour, "Under transparency, and the bars of pad."),
    "format": Parameter(
        choice((*FORMATS, *AUTO_FORMATS), {"jpg": "jpeg"}),
        "By default the original's where browsers know it; auto follows Accept.",
    ),
    "quality": Parameter(integer(1, 100), "Of JPEG, WebP and AVIF; the default depends on the format."),
    "watermark": Parameter(Grammar(_mark, DKEY_SCHEMA), "dkey of a picture of the domain `watermark`."),
    "watermark_position": Parameter(_POSITION, "By default the mark's own, else southeast."),
    "watermark_opacity": Parameter(decimal("0.01", "1"), "By default the mark's own, else 1."),
    "watermark_scale": Parameter(decimal("0.01", "1"), "The mark's width as a part of the picture's."),
    "watermark_margin": Parameter(
        integer(0, 1000), "Pixels from the edges; by default the mark's own, else 10."
    ),
}
"""Every parameter of a rendition, by its own name."""

PARAMETER_NAMES = (*PARAMETERS, *ALIASES)
"""Every name that a rendition may be spelled with."""


def _check_needs(values: Mapping[str, Any]) -> None:
    """Refuse parameters that can only be a mistake without the one that they belong to."""
    if "width" not in values and "height" not in values:
        for name in ("dpr", "fit", "enlarge", "gravity"):
            if name in values:
                raise InvalidParameter(
                    name, f"{name} is given without width and height, expected one of them too"
                )
    if "watermark" not in values:
        for name in values:
            if name.startswith("watermark_"):
                raise InvalidParameter(name, f"{name} is given without watermark")


def _multiply_dpr(values: dict[str, Any]) -> dict[str, Any]:
    """`width=150&dpr=2` and `width=300` are one wish."""
    dpr = Decimal(str(values.pop("dpr", 1)))
    for name in ("width", "height", "watermark_margin"):
        if name in values and dpr != 1:
            values[name] = int((values[name] * dpr).to_integral_value(ROUND_HALF_UP))
            low, high = (0, 1000) if name == "watermark_margin" else (1, MAX_SIDE)
            if not low <= values[name] <= high:
                raise InvalidParameter("dpr", f"{name} times dpr is {values[name]}, expected {low} to {high}")
    return values


def _without_effectless(wish: Rendition) -> Rendition:
    """Drop what cannot change the picture, so that equal pictures have equal keys."""
    if wish.width is None or wish.height is None:
        wish = replace(wish, fit="inside")
    if wish.fit not in ("cover", "pad"):
        wish = replace(wish, gravity="center")
    if wish.fit == "pad" and wish.gravity == "smart":
        wish = replace(wish, gravity="center")
    if wish.gravity == "0.5,0.5":
        wish = replace(wish, gravity="center")
    if wish.format in ("png", "gif"):
        wish = replace(wish, quality=None)
    return wish


_ORIGINAL = Rendition()
