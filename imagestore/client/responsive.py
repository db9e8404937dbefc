"""`srcset` and `sizes` of an `<img>`: the browser takes the smallest picture that is sharp enough.

Plain functions, for templates too:

    env.globals.update(srcset=srcset, sizes=sizes, urls=Urls("https://img.example.org"))

    <img src="{{ urls.picture(image, width=640) }}" sizes="{{ sizes('(max-width: 40em) 100vw', '50vw') }}"
         srcset="{{ srcset(urls, image, ratio=1.5, format='auto') }}">
"""

from collections.abc import Iterable
from typing import Unpack

from imagestore.client.naming import Picture
from imagestore.client.urls import Urls, Wish
from imagestore.client.values import Image
from imagestore.errors import InvalidRequest
from imagestore.rendition import MAX_SIDE

WIDTHS = (320, 480, 640, 960, 1280, 1920, 2560)
"""Pixels; each has about twice the area of the one before, so no step wastes more than half of the bytes."""

DENSITIES = (1.0, 1.5, 2.0, 3.0)


def srcset(
    urls: Urls,
    picture: Picture,
    *,
    widths: Iterable[int] = WIDTHS,
    ratio: float | None = None,
    **wish: Unpack[Wish],
) -> str:
    """The candidates of `srcset` by width (HTML standard §4.8.4.2.2), for a picture of changing size.

    Args:
        widths: pixels. Of an `Image` no candidate is wider than itself, unless the wish enlarges.
        ratio: width by height; cuts the picture to it, unless the wish has another `fit`.

    Raises:
        InvalidRequest: the wish has a width or a height of its own.
        InvalidParameter: a value is outside its grammar.
    """
    _refuse(wish, "width", "height", "dpr")
    widest = _widest(picture, ratio, wish)
    entries = []
    for width in sorted({min(width, widest) for width in widths}):
        size: Wish = {"width": width}
        if ratio is not None:
            size = {"width": width, "height": max(1, round(width / ratio)), "fit": "cover"}
        entries.append(f"{_entry(urls, picture, {**size, **wish})} {width}w")
    return ", ".join(entries)


def srcset_by_density(
    urls: Urls, picture: Picture, *, densities: Iterable[float] = DENSITIES, **wish: Unpack[Wish]
) -> str:
    """The candidates by screen density, for a picture of one size: `width` or `height` in CSS pixels.

    Raises:
        InvalidRequest: the wish has neither, or a `dpr` of its own.
        InvalidParameter: a value is outside its grammar, or a side times a density over 4096 pixels.
    """
    _refuse(wish, "dpr")
    if "width" not in wish and "height" not in wish:
        raise InvalidRequest("candidates by density need a width or a height in CSS pixels")
    entries = [
        (density, _entry(urls, picture, {**wish, "dpr": density})) for density in sorted(set(densities))
    ]
    return ", ".join(f"{url} {density:g}x" for density, url in entries)


def sizes(*widths: str) -> str:
    """The attribute `sizes`: `'(max-width: 40em) 100vw', '50vw'`; the last is for every other screen.

    Raises:
        InvalidRequest: there is none, or the last has a condition, so that some screens have none.
    """
    if not widths or widths[-1].lstrip().startswith("("):
        raise InvalidRequest("sizes end in a width without a condition, as '100vw'")
    return ", ".join(widths)


def _widest(picture: Picture, ratio: float | None, wish: Wish) -> int:
    """The widest that a picture can become without growing, as far as that is known here."""
    if not isinstance(picture, Image) or wish.get("enlarge") or "crop" in wish:
        return MAX_SIDE
    width, height = picture.width, picture.height
    if wish.get("rotate") in (90, 270):
        width, height = height, width
    return min(MAX_SIDE, width if ratio is None else max(1, min(width, int(height * ratio))))


def _entry(urls: Urls, picture: Picture, wish: Wish) -> str:
    # In srcset a comma after a blank ends a candidate, and one at the end of an address is cut off.
    return urls.picture(picture, **wish).replace(",", "%2C")


def _refuse(wish: Wish, *names: str) -> None:
    for name in names:
        if name in wish:
            raise InvalidRequest(f"{name} is given, but it is what the candidates differ in")
