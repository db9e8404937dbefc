"""The fast engine: libvips, for every format that its wheel decodes.

Pictures flow through in strips: the decoder shrinks while it loads where the format can, and only
what is small already is ever held whole. libvips' own guess of the format is not used, and its
loaders for anything else (SVG, PDF, camera files) are blocked.
"""

import contextlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import pyvips

from imagestore.engines import Batch, Inspection, Mark, Wish, jpeg, vips_paint
from imagestore.engines.exif import read_exif
from imagestore.engines.geometry import ENOUGH_OF_RESIZED, MOST_REDUCED, Plan, make_plan
from imagestore.engines.output import Output, is_animated
from imagestore.engines.shapes import Box, Size, rescale
from imagestore.engines.smallbase import SMALL_QUALITY, small_base_times
from imagestore.engines.together import Job, Made, make_all, prepare
from imagestore.engines.webp import encode_webp
from imagestore.engines.whole import is_whole
from imagestore.errors import ImageInvalid, ImagestoreError, UnsupportedMediaType
from imagestore.records import CONTENT_TYPES, Facts, Picture
from imagestore.rendition import Rendition
from imagestore.settings import Encoding

NAME = "vips"

_LOADERS = {
    "jpeg": ("jpegload", "VipsForeignLoadJpeg"),
    "png": ("pngload", "VipsForeignLoadPng"),
    "gif": ("gifload", "VipsForeignLoadNsgif"),
    "webp": ("webpload", "VipsForeignLoadWebp"),
    "avif": ("heifload", "VipsForeignLoadHeif"),
    "tiff": ("tiffload", "VipsForeignLoadTiff"),
}
"""The wheel's libheif has AV1 but no HEVC, so that AVIF is read here and HEIC is not."""

READS = frozenset(name for name, (loader, _) in _LOADERS.items() if pyvips.type_find("VipsOperation", loader))

# Every picture is seen once, so that remembering operations would only cost memory.
pyvips.cache_set_max(0)
pyvips.operation_block_set("VipsForeignLoad", True)
for _, _class in _LOADERS.values():
    pyvips.operation_block_set(_class, False)

_SMALL_JPEG_PIXELS = 250_000
"""Up to here, own Huffman tables are worth their time: 3 % of the bytes of a 300 px picture for half
a millisecond; at 1200 px it is 1 % for 5 ms of 60."""

_MAX_HELD_PIXELS = 25_000_000
"""Of the frame that several pictures are made from: 100 MB with alpha, 200 MB with 16 bits too."""

_FRAMES_BEFORE = 3
"""Of earlier pictures, that later ones may be made from: the widths of a page are often halves of others."""

_REDUCED_BY: Mapping[str, Callable[[int], Mapping[str, Any]]] = {
    "jpeg": lambda times: {"shrink": times},
    "webp": lambda times: {"scale": 1 / times},
}
"""Loaders that can give a smaller picture for less work, and how they are told."""

_BY_ROWS = frozenset({"png", "gif", "webp"})
"""Decoded by whole rows or frames; of a TIFF with tiles, say, only those would be read that are asked for."""

_COLOURSPACES = {"b-w": "grey", "grey16": "grey", "cmyk": "cmyk", "lab": "lab", "labs": "lab"}
_BITS = {"uchar": 8, "char": 8, "ushort": 16, "short": 16, "uint": 32, "int": 32, "float": 32, "double": 64}


def inspect(source: Path, facts: Facts, *, with_base: bool = False) -> Inspection:
    """Decode every coded byte and tell what else is known; see `Engine.inspect`."""
    times = small_base_times(facts) if with_base else None
    if not is_whole(source, facts.format):
        raise ImageInvalid("the picture is cut short")
    with _broken_is_invalid():
        whole = _load(source, facts, fail_on="truncated", n=-1 if is_animated(facts) else 1)
        frames = whole.get_n_pages() if is_animated(facts) else 1
        plan = make_plan(facts, Rendition())
        if Size(whole.width, whole.get_page_height()) != plan.stored or frames != facts.frames:
            raise ImageInvalid("the header and the picture data disagree on the picture's size")
        reduced = _read_to_its_end(source, facts, whole, times or MOST_REDUCED)
        profile, exif = whole.get_typeof("icc-profile-data"), whole.get_typeof("exif-data")
        seen = {
            "colorspace": _COLOURSPACES.get(whole.interpretation, "srgb"),
            "bits": _BITS.get(whole.format, 8),
            "has_profile": bool(profile),
            "exif": read_exif(bytes(whole.get("exif-data"))) if exif else {},
        }
        return Inspection(seen, _small_base(reduced, plan) if reduced and times else None)


def _read_to_its_end(source: Path, facts: Facts, whole: pyvips.Image, times: int) -> pyvips.Image | None:
    """Let the decoder take in every coded byte, for as little work on the pixels as it can do with; gives
    the picture if it was made `times` smaller by that."""
    tiny = min(whole.width, whole.height) < MOST_REDUCED
    if facts.format in _REDUCED_BY and not tiny and not is_animated(facts):
        # At an eighth of each side libjpeg decodes all coefficients, and transforms those of frequency 0.
        reduced = _load(source, facts, fail_on="truncated", **_REDUCED_BY[facts.format](times))
        if facts.format == "jpeg":
            reduced = jpeg.decoded(reduced, source, times=times, strictly=True)
        return reduced.copy_memory()
    if facts.format in _BY_ROWS:
        # The last pixel of a picture that comes from top to bottom.
        whole.crop(0, whole.height - 1, 1, 1).avg()
    else:
        whole.avg()
    return None


def _small_base(reduced: pyvips.Image, plan: Plan) -> Picture | None:
    """None where its colours cannot be converted: that is no reason to refuse the original."""
    try:
        upright = vips_paint.turned(vips_paint.to_srgb(reduced), plan.turn)
        body = upright.jpegsave_buffer(Q=SMALL_QUALITY, subsample_mode="on", keep="none")
    except pyvips.Error:
        return None
    return Picture(CONTENT_TYPES["jpeg"], bytes(body))


def render(
    source: Path, facts: Facts, rendition: Rendition, mark: Mark | None, encoding: Encoding
) -> Picture:
    """Make the picture; see `Engine.render`."""
    job = prepare(facts, Wish(rendition, mark), encoding)
    with _broken_is_invalid():
        painter = _painter(job)
        if job.output.animated:
            return _encode(_films(source, facts, [(job.plan, painter)])[0], job.output)
        return _encode(painter.paint(_small(source, facts, job.plan)), job.output)


def render_all(source: Path, facts: Facts, wishes: Sequence[Wish], encoding: Encoding) -> Batch:
    """Make several pictures from one decode; see `Engine.render_all`."""

    def make(jobs: Sequence[Job]) -> Iterable[Made]:
        if len(jobs) == 1:
            wish = jobs[0].wish
            return [(jobs[0], render(source, facts, wish.rendition, wish.mark, encoding))]
        with _broken_is_invalid():
            return list((_animations if jobs[0].output.animated else _stills)(source, facts, jobs))

    return make_all(facts, wishes, encoding, make, max_held_pixels=_MAX_HELD_PIXELS)


@contextlib.contextmanager
def _broken_is_invalid() -> Iterator[None]:
    try:
        yield
    except pyvips.Error as error:
        if "out of memory" in str(error):
            raise MemoryError("the picture needs more memory than a render may take") from error
        raise ImageInvalid("the picture cannot be decoded") from error


def _load(source: Path, facts: Facts, **options: Any) -> pyvips.Image:
    """Open it for one pass from top to bottom."""
    if facts.format not in READS:
        raise UnsupportedMediaType(f"format is '{facts.format}', which this server cannot decode")
    if facts.format not in ("gif", "webp"):
        options.pop("n", None)
    loader = getattr(pyvips.Image, _LOADERS[facts.format][0])
    image: pyvips.Image = loader(str(source), access="sequential", **options)
    return image


def _stills(source: Path, facts: Facts, jobs: Sequence[Job]) -> Iterator[Made]:
    """The pictures of several jobs, the largest first, each from the smallest frame there is that is large
    enough: one that was resized for a job before it, or the held frame, which grows smaller."""
    smaller, held = _held_frame(source, facts, jobs[0])
    before: deque[tuple[Box, pyvips.Image]] = deque(maxlen=_FRAMES_BEFORE)
    for (take, size), alike in groupby(jobs, key=lambda job: (job.plan.take, job.plan.resized)):
        first, *others = alike
        there = [frame for box, frame in before if box == take and _is_enough(frame, size)]
        if there:
            resized = vips_paint.resize(there[-1], size).copy_memory()
        else:
            if first.spare >= 2 * smaller:
                held = vips_paint.shrink(held, first.spare // smaller).copy_memory()
                smaller *= first.spare // smaller
            resized = _resized(held, first.plan).copy_memory()
        before.append((take, resized))
        for job in (first, *others):
            try:
                with _broken_is_invalid():
                    yield job, _encode(_painter(job).paint(resized), job.output)
            except ImagestoreError as error:
                yield job, error


def _is_enough(frame: pyvips.Image, size: Size) -> bool:
    return bool(min(frame.width / size.width, frame.height / size.height) >= ENOUGH_OF_RESIZED)


def _animations(source: Path, facts: Facts, jobs: Sequence[Job]) -> Iterator[Made]:
    """The same for animations, whose frames are decoded one by one."""
    painters: list[tuple[Job, vips_paint.Painter]] = []
    for job in jobs:
        try:
            with _broken_is_invalid():
                painters.append((job, _painter(job)))
        except ImagestoreError as error:
            yield job, error
    films = _films(source, facts, [(job.plan, painter) for job, painter in painters])
    for (job, _), film in zip(painters, films, strict=True):
        yield job, _encode(film, job.output)


def _painter(job: Job) -> "vips_paint.Painter":
    mark = job.wish.mark
    stamp = _stamp(mark, job.plan.result) if mark is not None else None
    return vips_paint.Painter(job.plan, job.wish.rendition, job.output, stamp)


def _small(source: Path, facts: Facts, plan: Plan) -> pyvips.Image:
    """The first frame, taken and resized, in its own colours and orientation."""
    return _resized(_load_reduced(source, facts, plan.reduction), plan)


def _held_frame(source: Path, facts: Facts, job: Job) -> tuple[int, pyvips.Image]:
    """The first frame in memory, and how many times smaller it is than in the file: as small as it may
    be for this job."""
    loaded = job.plan.reduction if facts.format in _REDUCED_BY else 1
    times = max(1, job.spare // loaded)
    return loaded * times, vips_paint.shrink(_load_reduced(source, facts, loaded), times).copy_memory()


def _load_reduced(source: Path, facts: Facts, times: int) -> pyvips.Image:
    """The first frame, up to `times` (8, 4, 2 or 1) smaller than it is stored, where that saves work.

    A picture that was cut short is stored on request, so what there is of it is shown.
    """
    options: dict[str, Any] = {"fail_on": "none"}
    if times > 1 and facts.format in _REDUCED_BY:
        options |= _REDUCED_BY[facts.format](times)
    frame = _load(source, facts, **options)
    return jpeg.decoded(frame, source, times=times) if facts.format == "jpeg" else frame


def _resized(frame: pyvips.Image, plan: Plan) -> pyvips.Image:
    box = rescale(plan.take, plan.stored, Size(frame.width, frame.height))
    if box.size != Size(frame.width, frame.height):
        frame = frame.crop(box.left, box.top, box.width, box.height)
    return vips_paint.resize(frame, plan.resized)


def _films(
    source: Path, facts: Facts, ways: Sequence[tuple[Plan, "vips_paint.Painter"]]
) -> list[pyvips.Image]:
    """For each way all frames, one below the other, as libvips wants them.

    Each is finished and kept before the next is decoded, so that only small frames are in memory.
    """
    roll = _load(source, facts, fail_on="none", n=-1)
    height = roll.get_page_height()
    finished: list[list[pyvips.Image]] = [[] for _ in ways]
    for number in range(roll.height // height):
        frame = roll.crop(0, number * height, roll.width, height)
        if len(ways) > 1:
            frame = frame.copy_memory()
        for (plan, painter), frames in zip(ways, finished, strict=True):
            frames.append(painter.paint(_resized(frame, plan)).copy_memory())
    return [_joined(frames, roll) for frames in finished]


def _joined(frames: list[pyvips.Image], roll: pyvips.Image) -> pyvips.Image:
    joined = pyvips.Image.arrayjoin(frames, across=1).copy()
    joined.set_type(pyvips.GValue.gint_type, "page-height", frames[0].height)
    joined.set_type(pyvips.GValue.gint_type, "loop", roll.get("loop") if roll.get_typeof("loop") else 0)
    if roll.get_typeof("delay"):
        joined.set_type(pyvips.GValue.array_int_type, "delay", roll.get("delay"))
    return joined


def _stamp(mark: Mark, picture: Size) -> "vips_paint.Stamp":
    """The watermark as it is laid on a picture of this size."""
    box = vips_paint.place(mark, picture)
    plan = make_plan(mark.facts, Rendition()).resized_to(box.size)
    image = vips_paint.turned(
        vips_paint.to_srgb(_small(mark.path, mark.facts, plan)).copy_memory(), plan.turn
    )
    return vips_paint.Stamp(vips_paint.faded(image, mark.opacity), box, mark.position, mark.margin)


def _encode(image: pyvips.Image, output: Output) -> Picture:
    """The finished picture, without any metadata; sRGB is what a picture without a profile is."""
    if output.format == "jpeg":
        small = image.width * image.height <= _SMALL_JPEG_PIXELS
        body = image.jpegsave_buffer(Q=output.quality, optimize_coding=small, keep="none")
    elif output.format == "png":
        body = image.pngsave_buffer(keep="none")
    elif output.format == "gif":
        body = image.gifsave_buffer(effort=1, keep="none", keep_duplicate_frames=True)
    elif output.format == "webp" and not output.animated:
        body = encode_webp(image, quality=output.quality, effort=output.effort)
    elif output.format == "webp":
        body = image.webpsave_buffer(Q=output.quality, effort=output.effort, keep="none")
    else:
        body = image.heifsave_buffer(
            Q=output.quality, effort=output.effort, compression="av1", bitdepth=8, keep="none"
        )
    return Picture(CONTENT_TYPES[output.format], bytes(body))
