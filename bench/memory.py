"""Part `memory`: the most that any process of the API needs while it serves the largest photos."""

import contextlib
import http.client
from pathlib import Path

import pyvips

from bench import asking
from bench.options import Options
from bench.processes import family, peak_mib
from bench.report import Bar, Result
from bench.statistics import Series
from imagestore.settings import Limits
from tests.imagestack import image_stack

PEAK, ALLOWED, SUM = "largest process", "350 MiB", "all processes of the API"

BARS = (Bar(PEAK, ALLOWED, at_most=1),)
SHOWN = ((300, "jpeg"), (300, "webp"), (1200, "jpeg"), (1200, "webp"), (1200, "avif"))
"""Width in pixels and format."""

NOTE = (
    "VmHWM of the API and its render processes, read after each upload of a photo or of a PNG of 50 "
    "megapixels and after each picture that was shown of it "
    f"({', '.join(f'{w} px {f}' for w, f in SHOWN)}); one render process. The greatest counts, also of a "
    "process that ended later."
)


def measure(options: Options) -> list[Result]:
    """MiB, once: memory does not vary with the weather."""
    photos = [*options.pictures(), _large(options)]
    with contextlib.ExitStack() as stack:
        ours = stack.enter_context(
            image_stack(options.folder / "stack", RENDER_PROCESSES="1", API_WORKERS="1")
        )
        peaks, sums = [], []

        def note() -> None:
            each = [peak_mib(pid) for pid in family(ours.api.pid)]
            peaks.append(max(each))
            sums.append(sum(each))

        for number, path in enumerate(photos):
            image = ours.upload(path.read_bytes(), dkey=str(number))
            note()
            for width, format in SHOWN:
                url = f"{ours.address}/image/read?id={image['id']}&width={width}&format={format}"
                if asking.ask([url], clients=1).statuses != [http.client.OK]:
                    raise RuntimeError(f"{path.name} was not shown as {format} of {width} px")
                note()
    series = {
        PEAK: Series((max(peaks),)),
        SUM: Series((max(sums),)),
        ALLOWED: Series((float(ALLOWED.split()[0]),)),
    }
    return [Result("memory", "MiB", series, BARS, NOTE)]


def _large(options: Options) -> Path:
    """A PNG of the most pixels that are taken: a slope of colours, which compresses as photos do not."""
    side = int(Limits().max_pixels ** 0.5)
    path = options.folder / "large.png"
    x = pyvips.Image.xyz(side, side)
    x.bandjoin(x[0]).linear(255 / side, 0).cast("uchar").pngsave(str(path), compression=1)
    return path
