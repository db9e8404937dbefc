"""The wide engine: ImageMagick through Wand, for every format that is stored.

ImageMagick only ever gets bytes together with the name of their format: its file names are commands
(`text:`, `label:@`, `[...]`). `policy/policy.xml` denies it everything but the stored formats, and
`wand_policy.py` proves that at start-up.
"""

import contextlib
import struct
import warnings
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from wand.exceptions import ResourceLimitError, WandException
from wand.image import Image
from wand.resource import limits

from imagestore.engines import Batch, Inspection, Mark, Wish, wand_paint
from imagestore.engines.exif import read_exif
from imagestore.engines.geometry import Plan, make_plan
from imagestore.engines.output import Output, is_animated
from imagestore.engines.shapes import Size, rescale
from imagestore.engines.together import Job, Made, make_all, prepare
from imagestore.engines.wand_policy import check_policy
from imagestore.engines.whole import is_whole
from imagestore.errors import ImageInvalid, ImagestoreError
from imagestore.records import CONTENT_TYPES, Facts, Picture
from imagestore.rendition import Rendition
from imagestore.settings import Encoding

__all__ = ["NAME", "READS", "check_policy", "inspect", "render", "render_all"]

NAME = "wand"

READS = frozenset(CONTENT_TYPES)

_PNG_LEVEL_6_ADAPTIVE = 65
"""ImageMagick's PNG quality: tens are zlib's level, ones the filter (5: adaptive)."""

_FULL_COLOUR_QUALITY = 90
"""From here on a JPEG keeps its colours at full size, as libvips has it; ImageMagick's own choice is
that of the original."""

_WEBP_ANIM = 12 + 8 + 10
"""Where the ANIM chunk starts: behind the RIFF header and a whole VP8X chunk."""

_MOST_LEFT_BYTES = 16 * 1024 * 1024

_MAX_HELD_PIXELS = 12_500_000
"""Of the picture that several are made from: 100 MB at 16 bits a channel, and as much for a copy."""

_AVIF_FASTEST = 9

_COLOURSPACES = {"gray": "grey", "lineargray": "grey", "cmyk": "cmyk", "lab": "lab", "cielab": "lab"}


def inspect(source: Path, facts: Facts, *, with_base: bool = False) -> Inspection:
    """Decode every pixel once and tell what else is known; see `Engine.inspect`. A base would be extra
    work here, so there is none."""
    if not is_whole(source, facts.format):
        raise ImageInvalid("the picture is cut short")
    data = source.read_bytes()
    with _broken_is_invalid(), warnings.catch_warnings():
        # Lost data is a warning to ImageMagick ("premature end of data segment").
        warnings.filterwarnings("error", message=".*([Pp]remature|[Tt]runcated|[Ii]nsufficient).*")
        with _read(data, facts) as image:
            frames = len(image.sequence) if is_animated(facts) else 1
            canvas = (
                Size(image.page_width, image.page_height)
                if is_animated(facts) or facts.format == "gif"
                else Size(*image.size)
            )
            if canvas != make_plan(facts, Rendition()).stored or frames != facts.frames:
                raise ImageInvalid("the header and the picture data disagree on the picture's size")
            exif = image.profiles.get("exif")
            return Inspection(
                {
                    "colorspace": _COLOURSPACES.get(wand_paint.colourspace(image), "srgb"),
                    "bits": image.depth,
                    "has_profile": "icc" in list(image.profiles),
                    "exif": read_exif(bytes(exif)) if exif else {},
                }
            )


def render(
    source: Path, facts: Facts, rendition: Rendition, mark: Mark | None, encoding: Encoding
) -> Picture:
    """Make the picture; see `Engine.render`."""
    job = prepare(facts, Wish(rendition, mark), encoding)
    with _lenient(), _read_for(source, facts, job) as image:
        return _make(image, job)


def render_all(source: Path, facts: Facts, wishes: Sequence[Wish], encoding: Encoding) -> Batch:
    """Make several pictures from one decode; see `Engine.render_all`."""

    def make(jobs: Sequence[Job]) -> Iterable[Made]:
        with _lenient(), _read_for(source, facts, jobs[0]) as image:
            return list(_make_each(image, jobs))

    return make_all(facts, wishes, encoding, make, max_held_pixels=_MAX_HELD_PIXELS)


@contextlib.contextmanager
def _lenient() -> Iterator[None]:
    """A picture that was cut short is stored on request, so what there is of it is shown."""
    with _broken_is_invalid(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextlib.contextmanager
def _broken_is_invalid() -> Iterator[None]:
    """ImageMagick 6 does not give all memory back after it ran into its limit, and says only
    sometimes that this was the reason. What is counted more than before, when all pictures that were
    opened here are closed, tells."""
    before = limits.resource("memory")
    try:
        yield
    except (WandException, Warning) as error:
        exhausted = isinstance(error, ResourceLimitError) or "resources exhausted" in str(error)
        if exhausted or limits.resource("memory") > before + _MOST_LEFT_BYTES:
            raise MemoryError("the picture needs more memory than ImageMagick's policy allows") from error
        raise ImageInvalid("the picture cannot be decoded") from error


def _read_for(source: Path, facts: Facts, job: Job) -> Image:
    return _read(source.read_bytes(), facts, plan=job.plan, first=not job.output.animated)


def _read(data: bytes, facts: Facts, *, plan: Plan | None = None, first: bool = False) -> Image:
    """All frames, or the `first`; a JPEG is decoded only as large as `plan` needs it.

    ImageMagick 6 gives broken data back as a picture of 0x0 pixels, whose frames must not be
    touched: that aborts the process.
    """
    image = Image()
    try:
        if plan is not None and facts.format == "jpeg":
            _hint(image, plan)
        still = first or not is_animated(facts)
        image.read(
            blob=data, format=f"{facts.format}[0]" if still and facts.format != "jpeg" else facts.format
        )
        if 0 in image.size:
            raise ImageInvalid("the picture decodes to nothing")
        if plan is not None and facts.format == "jpeg":
            _drop_partial_pixels(image, plan)
    except BaseException:
        image.close()
        raise
    return image


def _hint(image: Image, plan: Plan) -> None:
    """ImageMagick divides the sides by these and rounds down what that gives, so they are too."""
    times = plan.reduction
    image.options["jpeg:size"] = f"{plan.file.width // times}x{plan.file.height // times}"


def _drop_partial_pixels(image: Image, plan: Plan) -> None:
    """libjpeg rounds a smaller size up: 2725 at a quarter is 682, of which the last is only part of
    a pixel. With it, all others would be stretched (SSIM 0.975 against 0.995 at 300 px)."""
    times = max(1, round(plan.file.width / image.width))
    whole = Size(max(1, plan.file.width // times), max(1, plan.file.height // times))
    if whole.width <= image.width <= whole.width + 1 and whole.height <= image.height <= whole.height + 1:
        image.crop(0, 0, width=whole.width, height=whole.height)
        image.reset_coords()


def _make(image: Image, job: Job) -> Picture:
    """`image` is changed in place: a second copy of 50 megapixels would not fit."""
    mark = job.wish.mark
    with contextlib.ExitStack() as opened:
        stamp = opened.enter_context(_stamp(mark, job.plan.result)) if mark is not None else None
        painter = wand_paint.Painter(job.plan, job.wish.rendition, job.output, stamp)
        finish = _animation if job.output.animated else _still
        finished = opened.enter_context(finish(image, job.plan, painter))
        return Picture(CONTENT_TYPES[job.output.format], _encode(finished, job.output))


def _make_each(image: Image, jobs: Sequence[Job]) -> Iterator[Made]:
    """The pictures of several jobs, the largest first, from one held picture that grows smaller."""
    for number, job in enumerate(jobs, start=1):
        if not job.output.animated:
            _first_frame(image)
            _shrink(image, job.plan.file, job.spare)
        try:
            with _lenient():
                if number == len(jobs):
                    yield job, _make(image, job)
                else:
                    with image.clone() as copy:
                        yield job, _make(copy, job)
        except ImagestoreError as error:
            yield job, error


def _shrink(image: Image, file: Size, times: int) -> None:
    """Make it `times` smaller than it is in the file, by a mean of blocks, if that halves it at least."""
    by = times // max(1, round(file.width / image.width))
    if by > 1:
        image.scale(max(1, image.width // by), max(1, image.height // by))


def _still(image: Image, plan: Plan, painter: "wand_paint.Painter") -> Image:
    _first_frame(image)
    _resize(image, plan)
    return painter.paint(image)


def _first_frame(image: Image) -> None:
    """A frame of an animation may be smaller than the canvas that it lies on."""
    if image.format in ("GIF", "WEBP"):
        image.coalesce()


def _resize(frame: Image, plan: Plan) -> None:
    box = rescale(plan.take, plan.stored, Size(*frame.size))
    if box.size != Size(*frame.size):
        frame.crop(box.left, box.top, width=box.width, height=box.height)
    frame.reset_coords()
    if box.size != plan.resized:
        frame.resize(plan.resized.width, plan.resized.height, filter="lanczos")


def _animation(image: Image, plan: Plan, painter: "wand_paint.Painter") -> Image:
    image.coalesce()
    finished: Image | None = None
    loop, ticks = image.loop, image.ticks_per_second or 100
    for number in range(len(image.sequence)):
        with image.sequence[number] as single:
            delay = single.delay
            frame = Image(image=single)
        _resize(frame, plan)
        painted = painter.paint(frame)
        painted.ticks_per_second = 100
        painted.delay = round(100 * delay / ticks)
        painted.dispose = "background"
        if finished is None:
            finished = painted
            continue
        with painted:
            finished.sequence.append(painted)
    if finished is None:
        raise ImageInvalid("the picture has no frames")
    finished.loop = loop
    return finished


def _stamp(mark: Mark, picture: Size) -> "wand_paint.Stamp":
    """The watermark as it is laid on a picture of this size."""
    box = wand_paint.place(mark, picture)
    plan = make_plan(mark.facts, Rendition()).resized_to(box.size)
    frame = _read(mark.path.read_bytes(), mark.facts, plan=plan, first=True)
    _first_frame(frame)
    _resize(frame, plan)
    wand_paint.to_srgb(frame)
    wand_paint.turn(frame, plan.turn)
    wand_paint.fade(frame, mark.opacity)
    return wand_paint.Stamp(frame, box, mark.position, mark.margin)


def _encode(image: Image, output: Output) -> bytes:
    """The finished bytes, without any metadata; sRGB is what a picture without a profile is."""
    image.strip()
    image.compression_quality = output.quality
    if output.format == "jpeg":
        image.options["jpeg:sampling-factor"] = "4:2:0" if output.quality < _FULL_COLOUR_QUALITY else "4:4:4"
    elif output.format == "png":
        image.compression_quality = _PNG_LEVEL_6_ADAPTIVE
        image.options["png:exclude-chunk"] = (
            "date,bKGD,cHRM,gAMA,iCCP,tEXt,zTXt,iTXt,eXIf,pHYs,tIME,vpAg,caNv"
        )
    elif output.format == "webp":
        image.options["webp:method"] = str(output.effort)
    elif output.format == "avif":
        image.options["heic:speed"] = str(_AVIF_FASTEST - output.effort)
    body = bytes(image.make_blob(output.format))
    return _with_loop(body, image.loop) if output.format == "webp" and output.animated else body


def _with_loop(webp: bytes, loop: int) -> bytes:
    """ImageMagick 6 writes animated WebP that runs for ever, whatever the loop was.

    The count is in the ANIM chunk, behind the background colour (WebP container specification,
    "Animation"); VP8X, which comes first, has a fixed length.
    """
    if webp[_WEBP_ANIM : _WEBP_ANIM + 4] != b"ANIM":
        return webp
    at = _WEBP_ANIM + 8 + 4
    return webp[:at] + struct.pack("<H", min(loop, 65_535)) + webp[at + 2 :]
