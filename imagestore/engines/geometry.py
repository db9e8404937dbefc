"""Where every pixel goes: pure arithmetic that both engines share.

A `Plan` is made once from the facts of an original and a rendition, before anything is decoded, so
that the engines can leave out what nobody will see. Lengths are pixels; halves are rounded up.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from imagestore.engines.shapes import Box, Size, around, centred, half_up, rescale, scaled, within
from imagestore.errors import InvalidParameter
from imagestore.records import Facts
from imagestore.rendition import MAX_SIDE, Rendition

ENOUGH = 1.35
"""So many times the target stays for the real resize. Measured with libvips on ten photos at 300 and 1200
px (2026-11): SSIM against Lanczos from all pixels is 0.0016 (median; 0.0002 the least) above that of
sharp, which may leave 1.0, and 1200 px take 0.9 of the time that they take with 1.65."""

ENOUGH_OF_MEANS = 1.9
"""The same where the smaller picture is made of the means of blocks of pixels, which blur more than what
a decoder of JPEG does."""

ENOUGH_OF_RESIZED = 1.2
"""The same where the smaller picture was resized from enough pixels itself. Widths of 320 to 1600 px of ten
photos (2026-11): median SSIM with Lanczos from all pixels as with 1.9, at 1280 px of 1600 0.0004 less."""

MOST_REDUCED = 8
"""What libjpeg can do; libvips loads nothing of which less than a pixel would be left."""

_LONGEST_STEP = 2 * MAX_SIDE
"""Longest side of the picture between resize and cut; only slivers like 9000x10 come near it."""

_MAX_ANIMATION_PIXELS = 100_000_000

_TURNS: Mapping[int, tuple[int, int, int, int]] = {
    1: (1, 0, 0, 1),
    2: (-1, 0, 0, 1),
    3: (-1, 0, 0, -1),
    4: (1, 0, 0, -1),
    5: (0, 1, 1, 0),
    6: (0, -1, 1, 0),
    7: (0, -1, -1, 0),
    8: (0, 1, -1, 0),
}
"""EXIF orientations (EXIF 2.32 §4.6.4) as matrices that make the stored picture upright."""

_ROTATIONS = {0: 1, 90: 6, 180: 3, 270: 8}
_FLIPS = {None: 1, "horizontal": 2, "vertical": 4, "both": 3}
_STEPS = {1: (0, False), 2: (0, True), 3: (180, False), 4: (180, True)}
_STEPS |= {5: (90, True), 6: (90, False), 7: (270, True), 8: (270, False)}


@dataclass(frozen=True, slots=True)
class Plan:
    """The way from a stored frame to a finished one, in the order of the fields.

    `stored` is the frame's size in the original, `file` in the file that is decoded (they differ for a
    base picture); `take` the part of `stored` that is used; `resized` what that part becomes. Then it is
    turned as the EXIF orientation `turn` says (the original's orientation, `rotate` and `flip` in one),
    `cut` to a smaller size at `window` (None: where it is most
    interesting), and laid at `pad.left, pad.top` on a canvas of the size of `pad`.
    """

    stored: Size
    file: Size
    take: Box
    resized: Size
    turn: int
    cut: Size | None
    window: Box | None
    pad: Box | None

    @property
    def spare(self) -> int:
        """By which whole number the file may be made smaller by means before the real resize."""
        return max(1, int(self.times / ENOUGH_OF_MEANS))

    @property
    def reduction(self) -> int:
        """How many times smaller a decoder of JPEG may load the file: 8, 4, 2 or 1. A base picture, which
        is smaller than the original already, never becomes smaller than a decoder can load that."""
        most = MOST_REDUCED // (self.stored.width // self.file.width)
        return next((times for times in (8, 4, 2) if times <= most and self.times >= times * ENOUGH), 1)

    @property
    def times(self) -> float:
        """How many times larger than the result what is taken of the file is, on its lesser side."""
        there = rescale(self.take, self.stored, self.file)
        return min(there.width / self.resized.width, there.height / self.resized.height)

    @property
    def result(self) -> Size:
        if self.pad is not None:
            return self.pad.size
        if self.cut is not None:
            return self.cut
        return self.resized.turned if is_sideways(self.turn) else self.resized

    def resized_to(self, size: Size) -> "Plan":
        """The same way to an upright picture of `size`, without cut and bars."""
        resized = size.turned if is_sideways(self.turn) else size
        return replace(self, resized=resized, cut=None, window=None, pad=None)


def make_plan(facts: Facts, rendition: Rendition) -> Plan:
    """The plan for a picture of `facts.width` x `facts.height` pixels (upright).

    Raises:
        InvalidParameter: `crop` lies wholly outside the picture.
    """
    # HEIF decoders apply the file's own rotation boxes, and its EXIF is not to be used
    # (ISO/IEC 23008-12 §6.5.10); so there the stored picture is upright already.
    orientation = 1 if facts.format in ("avif", "heic") else facts.orientation
    upright = Size(facts.width, facts.height)
    after = _compose(_FLIPS[rendition.flip], _ROTATIONS[rendition.rotate])
    turn = _compose(after, orientation)
    region = _crop(upright, rendition.crop)
    seen = region.size.turned if is_sideways(after) else region.size
    goal, cut, pad = _fit(seen, rendition)
    if cut is not None and max(goal.width, goal.height) > _LONGEST_STEP:
        part = _sliver(seen, goal, cut, rendition.gravity)
        inner = _move(part, seen, _inverse(after))
        region = Box(region.left + inner.left, region.top + inner.top, inner.width, inner.height)
        goal = around(part.size, cut)
    if cut == goal:
        cut = None
    window = (
        _window(goal, cut, rendition.gravity) if cut is not None and rendition.gravity != "smart" else None
    )
    stored = upright.turned if is_sideways(orientation) else upright
    return Plan(
        stored=stored,
        file=stored if facts.file is None else Size(*facts.file),
        take=_move(region, upright, _inverse(orientation)),
        resized=goal.turned if is_sideways(turn) else goal,
        turn=turn,
        cut=cut,
        window=window,
        pad=pad if pad is not None and pad.size != goal else None,
    )


def check_animation(plan: Plan, frames: int) -> None:
    """Refuse an animation that would be too large to make (promises: 100 megapixels in all frames).

    Raises:
        InvalidParameter: only bars or `enlarge` can bring a picture that was let in over the limit.
    """
    pixels = plan.result.width * plan.result.height * frames
    if pixels > _MAX_ANIMATION_PIXELS:
        most = _MAX_ANIMATION_PIXELS // 1_000_000
        detail = (
            f"{frames} frames of this size have {pixels // 1_000_000} megapixels, expected at most {most}"
        )
        raise InvalidParameter("width", f"{detail}; ask for a smaller size or for a still format")


def is_sideways(orientation: int) -> bool:
    """Whether width and height change places in this EXIF orientation."""
    return orientation >= 5


def steps(orientation: int) -> tuple[int, bool]:
    """How to make it upright: degrees clockwise, and then whether left and right change places."""
    return _STEPS[orientation]


def place_mark(picture: Size, mark: Size, position: str, scale: float | None, margin: int) -> Box:
    """Where a watermark goes and how large it is; for `tile`, the first one.

    It keeps its shape and is shrunk until it fits between the margins; a margin of half the picture
    or more is cut so that one pixel is left.
    """
    beside = min(margin, (picture.width - 1) // 2)
    above = min(margin, (picture.height - 1) // 2)
    room = Size(picture.width - 2 * beside, picture.height - 2 * above)
    size = mark
    if scale is not None:
        width = max(1, half_up(picture.width * scale))
        size = Size(width, scaled(mark.height, width, mark.width))
    if size.width > room.width or size.height > room.height:
        size = within(mark, room)
    across, down = (0.0, 0.0) if position == "tile" else _fractions(position)
    left = beside + half_up((room.width - size.width) * across)
    top = above + half_up((room.height - size.height) * down)
    return Box(left, top, size.width, size.height)


def _fit(seen: Size, rendition: Rendition) -> tuple[Size, Size | None, Box | None]:
    """What the picture is resized to, what is cut out of that, and the canvas that it is laid on."""
    if rendition.width is None or rendition.height is None:
        return _one_side(seen, rendition), None, None
    box = Size(rendition.width, rendition.height)
    enlarge = rendition.enlarge
    if rendition.fit == "stretch":
        return (
            (box if enlarge else Size(min(box.width, seen.width), min(box.height, seen.height))),
            None,
            None,
        )
    if rendition.fit == "outside":
        return _bounded(_not_larger(around(seen, box), seen, enlarge)), None, None
    if rendition.fit == "cover":
        if not enlarge and (box.width > seen.width or box.height > seen.height):
            box = within(box, seen)
        return around(seen, box), box, None
    goal = _not_larger(within(seen, box), seen, enlarge)
    if rendition.fit != "pad":
        return goal, None, None
    across, down = _fractions(rendition.gravity)
    left, top = half_up((box.width - goal.width) * across), half_up((box.height - goal.height) * down)
    return goal, None, Box(left, top, box.width, box.height)


def _one_side(seen: Size, rendition: Rendition) -> Size:
    goal = seen
    if rendition.width is not None:
        goal = Size(rendition.width, scaled(seen.height, rendition.width, seen.width))
    elif rendition.height is not None:
        goal = Size(scaled(seen.width, rendition.height, seen.height), rendition.height)
    return _bounded(_not_larger(goal, seen, rendition.enlarge))


def _not_larger(goal: Size, seen: Size, enlarge: bool) -> Size:
    if not enlarge and (goal.width > seen.width or goal.height > seen.height):
        return seen
    return goal


def _bounded(size: Size) -> Size:
    most = Size(MAX_SIDE, MAX_SIDE)
    return within(size, most) if max(size.width, size.height) > MAX_SIDE else size


def _window(size: Size, cut: Size, gravity: str) -> Box:
    across, down = _fractions(gravity)
    if "," in gravity:
        return centred(size, cut, size.width * across, size.height * down)
    left, top = half_up((size.width - cut.width) * across), half_up((size.height - cut.height) * down)
    return Box(left, top, cut.width, cut.height)


def _sliver(seen: Size, goal: Size, cut: Size, gravity: str) -> Box:
    """The part of `seen` that the window shows, when all of it would be too long a strip."""
    window = _window(goal, cut, gravity)
    return rescale(window, goal, seen)


def _fractions(gravity: str) -> tuple[float, float]:
    if "," in gravity:
        across, down = gravity.split(",")
        return float(across), float(down)
    across_word = 0.0 if "west" in gravity else 1.0 if "east" in gravity else 0.5
    down_word = 0.0 if "north" in gravity else 1.0 if "south" in gravity else 0.5
    return across_word, down_word


def _crop(upright: Size, crop: str | None) -> Box:
    if crop is None:
        return Box(0, 0, upright.width, upright.height)
    left, top, width, height = (float(number) for number in crop.removeprefix("pct:").split(","))
    if crop.startswith("pct:"):
        left, width = left * upright.width / 100, width * upright.width / 100
        top, height = top * upright.height / 100, height * upright.height / 100
    x, y = half_up(left), half_up(top)
    if x >= upright.width or y >= upright.height:
        size = f"{upright.width}x{upright.height}"
        raise InvalidParameter(
            "crop", f"crop is {crop!r}, expected a box that lies at least partly in {size} pixels"
        )
    right = min(upright.width, x + max(1, half_up(width)))
    bottom = min(upright.height, y + max(1, half_up(height)))
    return Box(x, y, right - x, bottom - y)


def _compose(second: int, first: int) -> int:
    a, b, c, d = _TURNS[second]
    e, f, g, h = _TURNS[first]
    product = (a * e + b * g, a * f + b * h, c * e + d * g, c * f + d * h)
    return next(number for number, matrix in _TURNS.items() if matrix == product)


def _inverse(orientation: int) -> int:
    return {6: 8, 8: 6}.get(orientation, orientation)


def _move(box: Box, within: Size, orientation: int) -> Box:
    """`box` of a picture of size `within` after the picture was turned by `orientation`."""
    a, b, c, d = _TURNS[orientation]
    right, bottom = box.left + box.width, box.top + box.height
    shift_x = within.width * (a < 0) + within.height * (b < 0)
    shift_y = within.width * (c < 0) + within.height * (d < 0)
    xs = sorted((a * box.left + b * box.top + shift_x, a * right + b * bottom + shift_x))
    ys = sorted((c * box.left + d * box.top + shift_y, c * right + d * bottom + shift_y))
    return Box(xs[0], ys[0], xs[1] - xs[0], ys[1] - ys[0])
