"""Part `engines`: milliseconds a picture, likeness to a reference and bytes, so that fast is not worse.

The reference is the photo shrunk whole by Pillow's Lanczos filter.
"""

import contextlib
import io
import math
import os
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import ModuleType
from unittest import mock

import httpx
import pyvips
from PIL import ExifTags, Image, ImageOps

import imagestore.engines
from bench import frombases
from bench.cold import AVIF_PHOTOS, KINDS, Kind
from bench.likeness import likeness_to_photo
from bench.options import Options
from bench.report import Bar, Result
from bench.rivals import IPX, THUMBOR, Rival, ipx, thumbor
from bench.statistics import Series, alternate
from imagestore.engines import vips
from imagestore.probe import probe
from imagestore.rendition import Rendition
from imagestore.settings import Encoding, Limits

NOTE = (
    "One process, median over the photos. The reference is Pillow's Lanczos filter over the whole photo; "
    "`Pillow` is `Image.thumbnail` with `reducing_gap=2`, encoded with its defaults."
)
LOOKS_NOTE = (
    "Median over the photos, of SSIM with the reference (1 is the same picture) and of kilobytes: more of "
    "both is another quality, not more care. IPX and thumbor with their own settings."
)

AVIF_BAR = Bar("vips", IPX, at_least=0.995)
"""Faster by less care would be no feat: 0.005 of some 0.95 may be missing."""

Make = Callable[[Path, Kind], bytes]

_SIDEWAYS = 5
"""From this orientation on the stored rows are the picture's columns (EXIF 2.32 4.6.4)."""


def measure(options: Options) -> list[Result]:
    """Milliseconds, likeness and bytes, for each engine and class of pictures."""
    pyvips.concurrency_set(1)  # As each of our render processes has it.
    makers: Mapping[str, Make] = {
        "vips": partial(_ours, vips),
        "wand": partial(_ours, prepared_wand()),
        "Pillow": pillow,
    }
    folder = options.jpegs()[0].parent
    results = []
    with contextlib.ExitStack() as stack:
        rivals: Mapping[str, Make] = {
            name: partial(_asked, stack.enter_context(start(options.folder / start.__name__, folder)))
            for name, start in {IPX: ipx, THUMBOR: thumbor}.items()
        }
        for kind in KINDS:
            photos = options.jpegs()[: AVIF_PHOTOS if kind.format == "avif" else None]
            results.append(_times(makers, photos, kind, options.rounds))
            judged = {**makers, **rivals}
            if kind.format == "avif":
                del judged[THUMBOR]
            results += looks(judged, photos, kind)
    return results + frombases.compare(options)


def _times(makers: Mapping[str, Make], photos: Sequence[Path], kind: Kind, rounds: int) -> Result:
    contestants = {who: partial(_time, make, photos, kind) for who, make in makers.items()}
    series = {who: Series(tuple(values)) for who, values in alternate(contestants, rounds).items()}
    return Result(_title(kind), "ms a picture", series, (), NOTE)


def looks(makers: Mapping[str, Make], photos: Sequence[Path], kind: Kind) -> list[Result]:
    """How alike to the reference the pictures are, and for how many bytes."""
    alike: dict[str, list[float]] = {who: [] for who in makers}
    kilobytes: dict[str, list[float]] = {who: [] for who in makers}
    for path in photos:
        for who, make in makers.items():
            body = make(path, kind)
            alike[who].append(likeness_to_photo(body, path))
            kilobytes[who].append(len(body) / 1000)
    bars = (AVIF_BAR,) if kind.format == "avif" else ()
    return [
        Result(f"{_title(kind)}, likeness", "SSIM", _medians(alike), bars, LOOKS_NOTE),
        Result(f"{_title(kind)}, size", "KB a picture", _medians(kilobytes), (), LOOKS_NOTE),
    ]


def _title(kind: Kind) -> str:
    return f"engines, {kind.name.removeprefix('cold, ')}"


def _medians(values: Mapping[str, Sequence[float]]) -> dict[str, Series]:
    return {who: Series((statistics.median(each),)) for who, each in values.items()}


def prepared_wand() -> ModuleType:
    """The engine with the settings of a render process. Its library reads them once; servers that are
    started later do not inherit them."""
    settings = {
        "MAGICK_THREAD_LIMIT": "1",
        "OMP_NUM_THREADS": "1",
        "MAGICK_CONFIGURE_PATH": str(Path(imagestore.engines.__file__).parent / "policy"),
    }
    with mock.patch.dict(os.environ, settings):
        from wand.resource import genesis

        from imagestore.engines import wand

        genesis()
    return wand


def _asked(rival: Rival, path: Path, kind: Kind) -> bytes:
    return httpx.get(rival.url(path.name, kind.width, kind.format), timeout=60).raise_for_status().content


def _ours(engine: ModuleType, path: Path, kind: Kind) -> bytes:
    rendition = Rendition.from_parameters({"width": str(kind.width), "format": kind.format})
    body: bytes = engine.render(path, probe(path, Limits()), rendition, None, Encoding()).body
    return body


def pillow(path: Path, kind: Kind) -> bytes:
    """By Pillow alone, in the fastest way that it has of its own."""
    with Image.open(path) as photo:
        turned = photo.getexif().get(ExifTags.Base.Orientation, 1) >= _SIDEWAYS
        across, down = (photo.height, photo.width) if turned else photo.size
        # Both sides, since the smaller one of them says at which size the JPEG is loaded.
        box = kind.width, math.ceil(kind.width * down / across)
        photo.thumbnail(box[::-1] if turned else box, Image.Resampling.LANCZOS, reducing_gap=2)
        out = io.BytesIO()
        ImageOps.exif_transpose(photo.convert("RGB")).save(out, kind.format)
        return out.getvalue()


def _time(make: Make, photos: Sequence[Path], kind: Kind) -> float:
    times = []
    for path in photos:
        began = time.process_time()
        make(path, kind)
        times.append(time.process_time() - began)
    return 1000 * statistics.median(times)
