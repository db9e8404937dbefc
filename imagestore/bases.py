"""Base pictures: smaller copies of originals that further sizes are made from.

There are two: a large one, made with the second picture of a large original, and a small one for
thumbnails, which the check of an upload leaves behind (`engines/smallbase.py`). A base is used only where
the result is as good as one from the original: for opaque, still pictures, lossy output of common
quality, and sizes that it has enough pixels for.
"""

from dataclasses import dataclass, replace

from imagestore.engines.geometry import make_plan
from imagestore.engines.output import choose_output
from imagestore.engines.shapes import rescale
from imagestore.engines.smallbase import SMALL_ENOUGH, small_base_times
from imagestore.errors import InvalidParameter
from imagestore.identity import RENDER_VERSION, cache_field, picture_etag
from imagestore.records import Facts
from imagestore.rendition import Rendition
from imagestore.settings import Encoding, Settings

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
"""How many times larger than the result the large base has to be. SSIM against the picture from the original
is 0.99 there and more below, before either is encoded (six photos of 8 to 22 megapixels, 2026-11)."""

_LOSSY = frozenset({"jpeg", "webp", "avif"})
_HIGH_QUALITY = 90


@dataclass(frozen=True, slots=True)
class Base:
    """A base picture of an original that the engines know by `facts`: all lengths are still those of the
    original, so that the same places are cut out and the result has the same size."""

    facts: Facts
    enough: float

    def serves(self, rendition: Rendition) -> bool:
        """Whether it has enough pixels for this picture."""
        try:
            plan = make_plan(self.facts, rendition)
        except InvalidParameter:
            return False
        there = rescale(plan.take, plan.stored, plan.file)
        return min(there.width / plan.resized.width, there.height / plan.resized.height) >= self.enough


def large_base(facts: Facts, *, min_pixels: int) -> Base | None:
    """That of an original of `min_pixels` (0: none has one) or more."""
    large = 0 < min_pixels <= facts.width * facts.height
    if not large or facts.alpha or facts.frames > 1 or facts.truncated:
        return None
    size = make_plan(facts, large_base_rendition(facts)).result
    return Base(_smaller(facts, size.width, size.height), _ENOUGH)


def small_base(facts: Facts) -> Base | None:
    """The one that an upload left behind, if it is still there."""
    times = small_base_times(facts)
    if times is None:
        return None
    return Base(_smaller(facts, facts.width // times, facts.height // times), SMALL_ENOUGH)


def large_base_rendition(facts: Facts) -> Rendition:
    """The large base: JPEG, since that can be loaded at a half or less in a fraction of the time."""
    size = make_plan(facts, _LEAST).result
    width, height = (max(1, side // _WHOLE * _WHOLE) for side in (size.width, size.height))
    return Rendition(width=width, height=height, fit="stretch", format="jpeg", quality=_QUALITY)


def large_base_etag(sha256: str, facts: Facts, recipe: str) -> str:
    """What names it in the cache."""
    return picture_etag(sha256, cache_field(large_base_rendition(facts), recipe))


def small_base_etag(sha256: str) -> str:
    """The same; no setting has a part in what it shows."""
    return picture_etag(sha256, f"small base {RENDER_VERSION}")


def keeps_small_bases(settings: Settings) -> bool:
    """Whether uploads leave any."""
    return settings.base_min_pixels > 0 and settings.small_bases_max > 0


def settled(facts: Facts, rendition: Rendition, encoding: Encoding) -> Rendition | None:
    """The rendition as a base has to be asked for it, with the format that it has of the original; None if
    it must come from the original."""
    output = choose_output(facts, rendition, encoding)
    if output.format not in _LOSSY or output.quality >= _HIGH_QUALITY or rendition.gravity == "smart":
        return None
    return replace(rendition, format=output.format)


def _smaller(facts: Facts, width: int, height: int) -> Facts:
    return replace(facts, format="jpeg", orientation=1, file=(width, height))
