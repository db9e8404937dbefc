"""The small base picture that the check of an original leaves behind: thumbnails are made from it.

The check decodes every coded byte, which is nearly all of a thumbnail's work; it keeps a few more of the
pixels than it has to. Pure decisions; `bases.py` says which pictures are made from it.
"""

from imagestore.engines.output import is_animated
from imagestore.records import Facts

SMALL_ENOUGH = 1.355
"""How many times larger than a result it has to be. SSIM of the finished JPEGs with those from the original
is 0.98 and more from there on (median 0.988). At 1.3 it is down to 0.955, since more pixels of the original
would be loaded there (`geometry.ENOUGH`; nine photos of 1 to 22 megapixels, 2026-11)."""

SMALL_LONGER_SIDE = 546
"""Pixels at least: enough for 400."""

SMALL_QUALITY = 93
"""JPEG with colours at half the size. 89 takes a fifth fewer bytes, and SSIM at 400 px is down to 0.974."""

_FORMATS = frozenset({"jpeg", "webp"})
"""Their decoders give a smaller picture for no more work than the check has anyway. With PNG the base
would cost three times the check (2026-11)."""


def small_base_times(facts: Facts) -> int | None:
    """How many times smaller (8, 4 or 2) the small base of an original is loaded; None: it has none,
    because it is transparent, moves, is cut short, or is too small to be worth it."""
    if facts.format not in _FORMATS or facts.alpha or is_animated(facts) or facts.truncated:
        return None
    longer = max(facts.width, facts.height)
    return next((times for times in (8, 4, 2) if longer >= times * SMALL_LONGER_SIDE), None)
