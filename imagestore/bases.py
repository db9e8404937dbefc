"""Base pictures: smaller copies of large originals that further sizes are made from.

A base is a rendition like others, but for where it lies in the cache. It is used only where the result
is as good as one from the original: for opaque, still pictures, lossy output of common quality, and
sizes that it has enough pixels for.
"""

from dataclasses import replace

from imagestore.engines.geometry import make_plan
from imagestore.engines.output import choose_output
from imagestore.engines.shapes import rescale
from imagestore.errors import InvalidParameter
from imagestore.records import Facts
from imagestore.rendition import Rendition
from imagestore.settings import Encoding

_LEAST = Rendition(width=1744, height=1163, fit="outside")
"""So wide whichever way up, since pages ask for widths: enough for 1338 px, and to be loaded at a half and
a quarter (`geometry.ENOUGH`) for the usual 640 and 320 px."""

_WHOLE = 8
"""Both sides of a base are multiples of this: at an eighth or more of its size it is loaded to the edge then.
SSIM with the picture from the original at 300 px is up to 0.025 lower without (2026-11)."""

_QUALITY = 89
"""The best one with colours at half the size, as most outputs have them: with whole ones, decoding takes up
to a half longer."""

_ENOUGH = 1.3
"""How many times larger than the result the base has to be. SSIM against the picture from the original
is 0.99 there and more below, before either is encoded (six photos of 8 to 22 megapixels, 2026-11)."""

_LOSSY = frozenset({"jpeg", "webp", "avif"})
_HIGH_QUALITY = 90


def serves(facts: Facts, rendition: Rendition, encoding: Encoding, *, min_pixels: int) -> bool:
    """Whether this picture of an original of `min_pixels` (0: none) or more may be made from a base."""
    large = 0 < min_pixels <= facts.width * facts.height
    if not large or facts.alpha or facts.frames > 1 or facts.truncated or rendition.gravity == "smart":
        return False
    output = choose_output(facts, rendition, encoding)
    if output.format not in _LOSSY or output.quality >= _HIGH_QUALITY:
        return False
    try:
        plan = make_plan(base_facts(facts), rendition)
    except InvalidParameter:
        return False
    there = rescale(plan.take, plan.stored, plan.file)
    return min(there.width / plan.resized.width, there.height / plan.resized.height) >= _ENOUGH


def base_rendition(facts: Facts) -> Rendition:
    """The base of an original. JPEG, since it can be loaded at a half or less in a fraction of the time."""
    size = make_plan(facts, _LEAST).result
    width, height = (max(1, side // _WHOLE * _WHOLE) for side in (size.width, size.height))
    return Rendition(width=width, height=height, fit="stretch", format="jpeg", quality=_QUALITY)


def base_facts(facts: Facts) -> Facts:
    """What is true of the base of an original: all lengths are still those of the original, so that the
    same places are cut out and the result has the same size."""
    size = make_plan(facts, base_rendition(facts)).result
    return replace(facts, format="jpeg", orientation=1, file=(size.width, size.height))
