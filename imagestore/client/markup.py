"""A whole `<picture>` for a page, where `srcset` alone is not enough: one source for each format."""

from collections.abc import Iterable
from html import escape
from typing import Unpack

from imagestore.client.naming import Picture
from imagestore.client.responsive import WIDTHS, srcset
from imagestore.client.urls import Urls, Wish
from imagestore.errors import InvalidRequest

FORMATS = ("avif", "webp")
"""The smallest first, since a browser takes the first source that it can show."""


class Markup(str):
    """Text that is HTML already. Jinja2 and Django ask for `__html__` and do not escape it again."""

    __slots__ = ()

    def __html__(self) -> str:
        return str(self)


def picture_tag(
    urls: Urls,
    image: Picture,
    *,
    alt: str,
    sizes: str = "100vw",
    widths: Iterable[int] = WIDTHS,
    ratio: float | None = None,
    formats: Iterable[str] = FORMATS,
    lazy: bool = True,
    **wish: Unpack[Wish],
) -> Markup:
    """A `<picture>` (HTML standard §4.8.1) whose sources are `srcset`s, and an `<img>` for the rest.

    The addresses differ by format and not by the header `Accept`, so that every CDN may keep them;
    they are signed if `urls` signs.

    Args:
        alt: what is shown and read aloud instead; empty for decoration.
        sizes: how wide the picture is shown, as `sizes` makes it.
        widths, ratio: as `srcset` takes them.
        formats: the sources, in this order.
        lazy: whether the browser may wait until the picture is nearly seen.

    Raises:
        InvalidRequest: there are no widths, or the wish has a width, a height, a dpr or a format of its own.
        InvalidParameter: a value is outside its grammar.
    """
    if "format" in wish:
        raise InvalidRequest("format is given, but it is what the sources differ in")
    steps = sorted(set(widths))
    if not steps:
        raise InvalidRequest("there are no widths")
    sources = []
    for name in formats:
        wanted: Wish = {**wish, "format": name}
        entries = srcset(urls, image, widths=steps, ratio=ratio, **wanted)
        sources.append(f"<source{_attributes(type=f'image/{name}', srcset=entries, sizes=sizes)}>")
    plain = srcset(urls, image, widths=steps, ratio=ratio, **wish)
    # The fallback is one of the candidates, so that caches hold no size more; browsers that know no
    # srcset have small screens.
    fallback = plain.split(" ", 1)[0]
    loading = {"loading": "lazy", "decoding": "async"} if lazy else {}
    img = f"<img{_attributes(src=fallback, srcset=plain, sizes=sizes, alt=alt, **loading)}>"
    return Markup(f"<picture>{''.join(sources)}{img}</picture>")


def _attributes(**values: str) -> str:
    return "".join(f' {name}="{escape(value)}"' for name, value in values.items())
