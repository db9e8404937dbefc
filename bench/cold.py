"""Part `cold`: pictures that nobody has asked for yet, beside the rivals and the bare engine.

Every request of a contestant is for a size that it was not asked for before, so that no cache has it.
"""

import contextlib
import multiprocessing
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pyvips

from bench import asking
from bench.fresh import Size, passes, sizes
from bench.options import Options
from bench.processes import cpu_s
from bench.report import Bar, Result
from bench.rivals import FILTER, IPX, THUMBOR, Rival, image_filter, ipx, thumbor
from bench.statistics import Series, alternate
from imagestore.engines import vips
from imagestore.probe import probe
from imagestore.rendition import Rendition
from imagestore.settings import Encoding, Limits
from tests.imagestack import ImageStack, image_stack
from tests.servers import Server

FIRST, FURTHER, BARE = "first render", "further size", "bare engine in a loop"
WHOLE = "first render, no base"

LARGE_PIXELS = 8_000_000
"""From here on a further size has to be three times as fast as a rival's."""

AVIF_PHOTOS = 4
"""Of the folder; a rival needs seconds for each."""

_PROCESSES = 2
"""Of the bare engine: as many as cores."""

NEVER = str(10**9)
"""More pixels than any original has: no large base pictures are made, so that each render is a first one."""


@dataclass(frozen=True)
class Kind:
    """A class of pictures that are compared."""

    width: int
    format: str

    @property
    def name(self) -> str:
        """As in a table: `cold 300 px JPEG`."""
        return f"cold, {self.width} px {self.format.upper()}"


KINDS = (Kind(300, "jpeg"), Kind(1200, "jpeg"), Kind(300, "webp"), Kind(1200, "webp"), Kind(1200, "avif"))

FURTHER_BARS = (Bar(FURTHER, IPX, at_least=3),)

NOTE = (
    f"{asking.CLIENTS} clients, passes over all photos in other sizes of the class. For `first render` the "
    "upload has left its small base picture, as it does by default, and sizes up to some 400 px are made "
    "from that; `first render, no base`, the rivals and the bare engine decode the original. The bare engine "
    "renders in two processes, without HTTP."
)
CPU_NOTE = (
    "Processor time of all processes of a contestant (nginx, gunicorn, Redis and decoders; node; thumbor), "
    "without the clients': what a busy machine spoils least. Less is better."
)


@dataclass(frozen=True)
class Round:
    """What one round of a contestant came to."""

    rate: float
    cpu_ms: float
    """For each picture."""


def measure(options: Options) -> list[Result]:
    """Pictures a second, and processor time for each."""
    photos = options.jpegs()
    folder = photos[0].parent
    results = []
    with contextlib.ExitStack() as stack:
        run = partial(_start, stack, options.folder)
        rivals = {IPX: run(ipx, folder), THUMBOR: run(thumbor, folder), FILTER: run(image_filter, folder)}
        stacks = {FIRST: {"BASE_MIN_PIXELS": NEVER}, WHOLE: {"BASE_MIN_PIXELS": "0"}, FURTHER: {}}
        ours = {
            name: _Ours(
                stack.enter_context(image_stack(options.folder / name.replace(" ", "-"), **env)), photos
            )
            for name, env in stacks.items()
        }
        bare = stack.enter_context(_bare())
        for kind in KINDS:
            names = [path.name for path in photos][: AVIF_PHOTOS if kind.format == "avif" else None]
            contestants = {
                name: _asks(_address(rival), kind, names, [rival.server]) for name, rival in rivals.items()
            }
            if kind.format != "jpeg":
                del contestants[FILTER]
            if kind.format == "avif":
                del contestants[THUMBOR]
            for name in (FIRST, WHOLE):
                contestants[name] = _asks(ours[name].url, kind, names, ours[name].servers)
            paths = [path for path in photos if path.name in names]
            contestants[BARE] = _loops(bare, kind, paths)
            results += _compare(kind.name, options, contestants, _first_bars(kind), NOTE)
            large = [path.name for path in photos if _pixels(path) >= LARGE_PIXELS]
            if kind.format != "avif" and large:
                results += _further(kind, options, ours[FURTHER], rivals[IPX], large)
    return results


def _first_bars(kind: Kind) -> Sequence[Bar]:
    """A first render against all; without the small base its ratios are only shown."""
    if kind.format == "avif":
        return Bar(FIRST, IPX, at_least=4), Bar(WHOLE, IPX), Bar(WHOLE, BARE)
    demanded = (
        Bar(FIRST, IPX, at_least=1.1),
        Bar(FIRST, THUMBOR, at_least=1.4 if kind.width == 300 else 1.2),
        Bar(FIRST, BARE, at_least=0.8),
    )
    return *demanded, *(Bar(WHOLE, bar.against) for bar in demanded)


def _start(
    stack: contextlib.ExitStack,
    folder: Path,
    server: Callable[[Path, Path], contextlib.AbstractContextManager[Rival]],
    photos: Path,
) -> Rival:
    return stack.enter_context(server(folder / server.__name__, photos))


def _compare(
    name: str,
    options: Options,
    contestants: Mapping[str, Callable[[float], Round]],
    bars: Sequence[Bar],
    note: str,
) -> list[Result]:
    for ask in contestants.values():
        ask(0)  # Libraries are loaded, files are in memory.
    rounds = {who: partial(ask, options.seconds) for who, ask in contestants.items()}
    seen = alternate(rounds, options.rounds)
    rates = {who: Series(tuple(each.rate for each in seen[who])) for who in contestants}
    cpu = {who: Series(tuple(each.cpu_ms for each in seen[who])) for who in contestants}
    shown = [Bar(bar.against, bar.contestant) for bar in bars]
    return [
        Result(name, "pictures/s", rates, bars, note),
        Result(f"{name}, CPU", "ms a picture", cpu, shown, CPU_NOTE),
    ]


def _further(kind: Kind, options: Options, ours: "_Ours", rival: Rival, names: Sequence[str]) -> list[Result]:
    """Other sizes of photos that were shown before, which is when their base was made."""
    for name in names:
        asking.ask([ours.url(name, Size(width, width), "png") for width in (20, 21, 22)], clients=1)
    contestants = {
        FURTHER: _asks(ours.url, kind, names, ours.servers),
        IPX: _asks(_address(rival), kind, names, [rival.server]),
    }
    note = f"Photos of {LARGE_PIXELS // 10**6} megapixels and more, with their base in Redis."
    return _compare(f"{kind.name}, further sizes", options, contestants, FURTHER_BARS, note)


def _address(rival: Rival) -> Callable[[str, Size, str], str]:
    return lambda name, size, format: rival.url(name, size.width, format)


def _asks(
    url: Callable[[str, Size, str], str], kind: Kind, names: Sequence[str], servers: Sequence[Server]
) -> Callable[[float], Round]:
    """One round after the other, each of so many seconds and with the next sizes of the class."""
    fresh = sizes(kind.width)

    def one_pass() -> Sequence[str]:
        size = next(fresh)
        return [url(name, size, kind.format) for name in names]

    def ask(seconds: float) -> Round:
        pids = [server.pid for server in servers]
        before = cpu_s(*pids)
        answers = asking.ask(passes(one_pass, seconds))
        return Round(answers.rate, (cpu_s(*pids) - before) * 1000 / len(answers.statuses))

    return ask


class _Ours:
    """A stack with the photos in it."""

    def __init__(self, stack: ImageStack, photos: Sequence[Path]) -> None:
        self._address = stack.address
        self.servers = (stack.nginx, stack.api, stack.redis)
        self._ids = {path.name: stack.upload(path.read_bytes(), dkey=path.name)["id"] for path in photos}

    def url(self, name: str, size: Size, format: str) -> str:
        wish = f"width={size.width}&height={size.height}&format={format}"
        return f"{self._address}/image/read?id={self._ids[name]}&{wish}"


def _pixels(path: Path) -> int:
    facts = probe(path, Limits())
    return facts.width * facts.height


Task = tuple[Path, Rendition]


@contextlib.contextmanager
def _bare() -> Iterator[Callable[[Iterable[Task]], list[float]]]:
    """Renders with two processes; gives the seconds of processor time that each picture took."""
    # One thread each, as our render processes have it.
    with multiprocessing.get_context("spawn").Pool(_PROCESSES, pyvips.concurrency_set, (1,)) as pool:

        def render(tasks: Iterable[Task]) -> list[float]:
            places = threading.Semaphore(2 * _PROCESSES)

            def in_turn() -> Iterator[Task]:
                """Not all at once, as a pool would take them: how many there are depends on the time."""
                for task in tasks:
                    places.acquire()
                    yield task

            spent = []
            for seconds in pool.imap_unordered(_render, in_turn(), chunksize=1):
                places.release()
                spent.append(seconds)
            return spent

        yield render


def _loops(
    bare: Callable[[Iterable[Task]], list[float]], kind: Kind, photos: Sequence[Path]
) -> Callable[[float], Round]:
    """The same rounds for the bare engine."""
    fresh = sizes(kind.width)

    def one_pass() -> Sequence[Task]:
        rendition = Rendition(width=next(fresh).width, format=kind.format)
        return [(path, rendition) for path in photos]

    def loop(seconds: float) -> Round:
        began = time.perf_counter()
        spent = bare(passes(one_pass, seconds))
        return Round(len(spent) / (time.perf_counter() - began), sum(spent) * 1000 / len(spent))

    return loop


def _render(task: Task) -> float:
    path, rendition = task
    began = time.process_time()
    vips.render(path, probe(path, Limits()), rendition, None, Encoding())
    return time.process_time() - began
