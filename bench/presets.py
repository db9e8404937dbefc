"""Part `presets`: five presets of one photo from one decode, against five renders of their own."""

import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import pyvips

from bench.options import Options
from bench.report import Bar, Result
from bench.statistics import Series, alternate
from imagestore.engines import Wish, vips
from imagestore.probe import probe
from imagestore.rendition import Rendition
from imagestore.settings import Encoding, Limits

TOGETHER, SINGLY = "five presets, one decode", "five renders"

SETS: Mapping[str, tuple[str, ...]] = {
    "thumbnails": (
        "width=64&height=64&fit=cover",
        "width=150&height=150&fit=cover",
        "width=300",
        "width=480",
        "width=800",
    ),
    "a web page's srcset, JPEG": tuple(f"width={width}" for width in (320, 640, 960, 1280, 1600)),
    "a web page's srcset, WebP": (
        "width=320&format=webp",
        "width=640&format=webp",
        "width=960&format=webp",
        "width=1280&format=webp",
        "width=300&height=300&fit=cover",
    ),
}

BARS = (Bar(TOGETHER, SINGLY, at_most=0.5),)
NOTE = (
    "Seconds of processor time of one process for all photos, engine vips. What is encoded costs the same "
    "both ways, and of pictures in WebP that is most of it."
)


def measure(options: Options) -> list[Result]:
    """Seconds for all photos, by each set of presets."""
    pyvips.concurrency_set(1)  # As each of our render processes has it.
    photos = options.jpegs()
    results = []
    for name, queries in SETS.items():
        wishes = [Wish(Rendition.parse(query)) for query in queries]
        contestants: dict[str, Callable[[], float]] = {
            TOGETHER: partial(_together, photos, wishes),
            SINGLY: partial(_singly, photos, wishes),
        }
        seen = alternate(contestants, options.rounds)
        series = {who: Series(tuple(values)) for who, values in seen.items()}
        results.append(Result(f"presets: {name}", "s", series, BARS, NOTE))
    return results


def _together(photos: list[Path], wishes: list[Wish]) -> float:
    began = time.process_time()
    for path in photos:
        vips.render_all(path, probe(path, Limits()), wishes, Encoding())
    return time.process_time() - began


def _singly(photos: list[Path], wishes: list[Wish]) -> float:
    began = time.process_time()
    for path in photos:
        facts = probe(path, Limits())
        for wish in wishes:
            vips.render(path, facts, wish.rendition, None, Encoding())
    return time.process_time() - began
