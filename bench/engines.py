"""Part `engines`: milliseconds a picture and likeness to a reference, so that fast is not worse.

The reference is the photo shrunk whole by Pillow's Lanczos filter.
"""

import io
import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import ModuleType
from unittest import mock

import httpx
import numpy as np
import pyvips
from PIL import ExifTags, Image, ImageOps

import imagestore.engines
from bench import frombases
from bench.cold import AVIF_PHOTOS, KINDS, Kind
from bench.likeness import likeness_to_photo
from bench.options import Options
from bench.report import Bar, Result
from bench.rivals import IPX, Rival, ipx
from bench.statistics import Series, alternate
from imagestore.engines import vips
from imagestore.probe import probe
from imagestore.rendition import Rendition
from imagestore.settings import Encoding, Limits

NOTE = (
    "One process, median over the photos. The reference is Pillow's Lanczos filter over the whole photo; "
    "`Pillow` is `Image.thumbnail` with `reducing_gap=2`, encoded with its defaults."
)
SSIM_NOTE = (
    "Median over the photos of SSIM with the reference; 1 is the same picture. IPX with its own settings."
)

AVIF_BAR = Bar("vips", IPX, at_least=0.995)
"""Faster by less care would be no feat: 0.005 of some 0.95 may be missing."""

_SIDEWAYS = 5
"""From this orientation on the stored rows are the picture's columns (EXIF 2.32 4.6.4)."""


def measure(options: Options) -> list[Result]:
    """Milliseconds and likeness, for each engine and class of pictures."""
    pyvips.concurrency_set(1)  # As each of our render processes has it.
    results = []
    makers: Mapping[str, Callable[[Path, Kind], bytes]] = {
        "vips": partial(_ours, vips),
        "wand": partial(_ours, prepared_wand()),
        "Pillow": _pillow,
    }
    for kind in KINDS:
        photos = options.jpegs()[: AVIF_PHOTOS if kind.format == "avif" else None]
        contestants = {name: partial(_time, make, photos, kind) for name, make in makers.items()}
        seen = alternate(contestants, options.rounds)
        name = kind.name.removeprefix("cold, ")
        series = {who: Series(tuple(values)) for who, values in seen.items()}
        results.append(Result(f"engines, {name}", "ms a picture", series, (), NOTE))
        with ipx(options.folder / name, photos[0].parent) as rival:
            judged: dict[str, Callable[[Path, Kind], bytes]] = {**makers, IPX: partial(_asked, rival)}
            likeness = {who: Series((_likeness(make, photos, kind),)) for who, make in judged.items()}
        bars = (AVIF_BAR,) if kind.format == "avif" else ()
        results.append(Result(f"engines, {name}, likeness", "SSIM", likeness, bars, SSIM_NOTE))
    return results + frombases.compare(options)


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


def _pillow(path: Path, kind: Kind) -> bytes:
    with Image.open(path) as photo:
        turned = photo.getexif().get(ExifTags.Base.Orientation, 1) >= _SIDEWAYS
        across, down = (photo.height, photo.width) if turned else photo.size
        # Both sides, since the smaller one of them says at which size the JPEG is loaded.
        box = kind.width, math.ceil(kind.width * down / across)
        photo.thumbnail(box[::-1] if turned else box, Image.Resampling.LANCZOS, reducing_gap=2)
        out = io.BytesIO()
        ImageOps.exif_transpose(photo.convert("RGB")).save(out, kind.format)
        return out.getvalue()


def _time(make: Callable[[Path, Kind], bytes], photos: Sequence[Path], kind: Kind) -> float:
    times = []
    for path in photos:
        began = time.process_time()
        make(path, kind)
        times.append(time.process_time() - began)
    return 1000 * float(np.median(times))


def _likeness(make: Callable[[Path, Kind], bytes], photos: Sequence[Path], kind: Kind) -> float:
    return float(np.median([likeness_to_photo(make(path, kind), path) for path in photos]))
