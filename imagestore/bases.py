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

BASE = Rendition(width=2048, height=2048, format="jpeg", quality=89)
"""JPEG, since it can be loaded at a half or less in a fraction of the time. 89 is the best quality with
colours at half the size, as most outputs have them: with whole ones, it takes up to a half longer."""

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


def base_facts(facts: Facts) -> Facts:
    """What is true of the base of an original: all lengths are still those of the original, so that the
    same places are cut out and the result has the same size."""
    size = make_plan(facts, BASE).result
    return replace(facts, format="jpeg", orientation=1, file=(size.width, size.height))
