"""How alike further sizes, which are made from base pictures, are to those from the original (`engines`)."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from bench.cold import KINDS, LARGE_PIXELS, Kind
from bench.likeness import likeness
from bench.options import Options
from bench.report import Bar, Result
from bench.statistics import Series
from imagestore.bases import Base, large_base, large_base_rendition, settled, small_base
from imagestore.engines import vips
from imagestore.probe import probe
from imagestore.records import Facts, Picture
from imagestore.rendition import Rendition
from imagestore.settings import Encoding, Limits

DIRECT = "from the original"

NOTE = (
    f"SSIM of a finished picture with the one from the original; photos of {LARGE_PIXELS // 10**6} "
    "megapixels and more stand in the place of rounds. The bar is for their median; the least one is the "
    "worst photo."
)


def compare(options: Options) -> list[Result]:
    """SSIM for each class of pictures and each base that serves it; nothing if no photo is large."""
    photos = [(path, probe(path, Limits())) for path in options.jpegs()]
    large = [(path, facts) for path, facts in photos if facts.width * facts.height >= LARGE_PIXELS]
    results = []
    for who, make in {"from the large base": _large, "from the small base": _small}.items():
        for kind in (kind for kind in KINDS if kind.format != "avif"):
            found = tuple(_alike(kind, make, large, options.folder / "base"))
            if found:
                title = f"engines, {kind.name.removeprefix('cold, ')} {who}, likeness"
                series = {who: Series(found), DIRECT: Series((1.0,) * len(found))}
                results.append(Result(title, "SSIM", series, (Bar(who, DIRECT, at_least=0.98),), NOTE))
    return results


def _alike(
    kind: Kind,
    make: Callable[[Path, Facts], tuple[Base | None, Picture | None]],
    photos: Sequence[tuple[Path, Facts]],
    kept: Path,
) -> Iterator[float]:
    """SSIM for each photo whose base has enough pixels."""
    wish = Rendition(width=kind.width, format=kind.format)
    for path, facts in photos:
        base, picture = make(path, facts)
        rendition = settled(facts, wish, Encoding())
        if not (base and picture and rendition and base.serves(rendition)):
            continue
        kept.write_bytes(picture.body)
        again = vips.render(kept, base.facts, rendition, None, Encoding())
        yield likeness(again.body, vips.render(path, facts, wish, None, Encoding()).body)


def _large(path: Path, facts: Facts) -> tuple[Base | None, Picture | None]:
    """As the second picture that is wanted of an original leaves it."""
    picture = vips.render(path, facts, large_base_rendition(facts), None, Encoding())
    return large_base(facts, min_pixels=LARGE_PIXELS), picture


def _small(path: Path, facts: Facts) -> tuple[Base | None, Picture | None]:
    """As the check of an upload leaves it."""
    return small_base(facts), vips.inspect(path, facts, with_base=True).base
