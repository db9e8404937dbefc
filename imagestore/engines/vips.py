"""The fast engine: libvips, for every format that its wheel decodes.

Pictures flow through in strips: the decoder shrinks while it loads where the format can, and only
what is small already is ever held whole. libvips' own guess of the format is not used, and its
loaders for anything else (SVG, PDF, camera files) are blocked.
"""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyvips

from imagestore.engines import Mark, vips_paint
from imagestore.engines.exif import read_exif
from imagestore.engines.geometry import Plan, check_animation, make_plan, reduction
from imagestore.engines.output import Output, choose_output, is_animated
from imagestore.engines.shapes import Size, rescale
from imagestore.engines.whole import is_whole
from imagestore.errors import ImageInvalid, UnsupportedMediaType
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

_COLOURSPACES = {"b-w": "grey", "grey16": "grey", "cmyk": "cmyk", "lab": "lab", "labs": "lab"}
_BITS = {"uchar": 8, "char": 8, "ushort": 16, "short": 16, "uint": 32, "int": 32, "float": 32, "double": 64}


def inspect(source: Path, facts: Facts) -> Mapping[str, Any]:
    """Decode every pixel once and tell what else is known; see `Engine.inspect`."""
    if not is_whole(source.read_bytes(), facts.format):
        raise ImageInvalid("the picture is cut short")
    with _broken_is_invalid():
        whole = _load(source, facts, fail_on="truncated", n=-1 if is_animated(facts) else 1)
        frames = whole.get_n_pages() if is_animated(facts) else 1
        plan = make_plan(facts, Rendition())
        if Size(whole.width, whole.get_page_height()) != plan.stored or frames != facts.frames:
            raise ImageInvalid("the header and the picture data disagree on the picture's size")
        whole.avg()
        profile, exif = whole.get_typeof("icc-profile-data"), whole.get_typeof("exif-data")
        return {
            "colorspace": _COLOURSPACES.get(whole.interpretation, "srgb"),
            "bits": _BITS.get(whole.format, 8),
            "has_profile": bool(profile),
            "exif": read_exif(bytes(whole.get("exif-data"))) if exif else {},
        }


def render(
    source: Path, facts: Facts, rendition: Rendition, mark: Mark | None, encoding: Encoding
) -> Picture:
    """Make the picture; see `Engine.render`."""
    plan = make_plan(facts, rendition)
    output = choose_output(facts, rendition, encoding)
    if output.animated:
        check_animation(plan, facts.frames)
    with _broken_is_invalid():
        stamp = _stamp(mark, plan.result) if mark is not None else None
        painter = vips_paint.Painter(plan, rendition, output, stamp)
        finished = (
            _animation(source, facts, plan, painter)
            if output.animated
            else _still(source, facts, plan, painter)
        )
        return Picture(CONTENT_TYPES[output.format], _encode(finished, output))


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


def _still(source: Path, facts: Facts, plan: Plan, painter: "vips_paint.Painter") -> pyvips.Image:
    return painter.paint(_small(source, facts, plan))


def _small(source: Path, facts: Facts, plan: Plan) -> pyvips.Image:
    """The first frame, taken and resized, in its own colours and orientation.

    A picture that was cut short is stored on request, so what there is of it is shown.
    """
    options: dict[str, Any] = {"fail_on": "none"}
    times = reduction(plan.take.size, plan.resized)
    if times > 1 and facts.format == "jpeg":
        options["shrink"] = times
    elif times > 1 and facts.format == "webp":
        options["scale"] = 1 / times
    return _resized(_load(source, facts, **options), plan)


def _resized(frame: pyvips.Image, plan: Plan) -> pyvips.Image:
    box = rescale(plan.take, plan.stored, Size(frame.width, frame.height))
    if box.size != Size(frame.width, frame.height):
        frame = frame.crop(box.left, box.top, box.width, box.height)
    return vips_paint.resize(frame, plan.resized)


def _animation(source: Path, facts: Facts, plan: Plan, painter: "vips_paint.Painter") -> pyvips.Image:
    """All frames, one below the other, as libvips wants them.

    Each is finished and kept before the next is decoded, so that only small frames are in memory.
    """
    roll = _load(source, facts, fail_on="none", n=-1)
    height = roll.get_page_height()
    finished = []
    for number in range(roll.height // height):
        frame = roll.crop(0, number * height, roll.width, height)
        finished.append(painter.paint(_resized(frame, plan)).copy_memory())
    joined = pyvips.Image.arrayjoin(finished, across=1).copy()
    joined.set_type(pyvips.GValue.gint_type, "page-height", finished[0].height)
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


def _encode(image: pyvips.Image, output: Output) -> bytes:
    """The finished bytes, without any metadata; sRGB is what a picture without a profile is."""
    if output.format == "jpeg":
        small = image.width * image.height <= _SMALL_JPEG_PIXELS
        body = image.jpegsave_buffer(Q=output.quality, optimize_coding=small, keep="none")
    elif output.format == "png":
        body = image.pngsave_buffer(keep="none")
    elif output.format == "gif":
        body = image.gifsave_buffer(effort=1, keep="none", keep_duplicate_frames=True)
    elif output.format == "webp":
        body = image.webpsave_buffer(Q=output.quality, effort=output.effort, keep="none")
    else:
        body = image.heifsave_buffer(
            Q=output.quality, effort=output.effort, compression="av1", bitdepth=8, keep="none"
        )
    return bytes(body)
