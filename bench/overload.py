"""Part `overload`: hot pictures while four times more cold ones are asked for than can be rendered."""

import contextlib
import http.client
import itertools
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from bench import asking, wrk
from bench.held import held, wait_until_as
from bench.options import Options
from bench.report import Bar, Result
from bench.statistics import Series
from tests.imagestack import image_stack
from tests.servers import wait_until

BEFORE, DURING, AFTER = "hot, alone", "hot, under overload", "hot, after it"
SLOWEST_REFUSAL, FIVE_SECONDS = "slowest refusal", "5 s"
P99, FIFTY_MS = "hot p99 under overload", "50 ms"

TIMES_TOO_MANY = 4
CLIENTS = 256
"""Each waits up to 4 s for an answer, so that a fast machine is asked less often than the schedule says; an
address may have 1,000 connections."""

NOTE = (
    f"Cold requests come at {TIMES_TOO_MANY} times the rate that is rendered without other load, each for "
    "a picture of its own; hot ones by wrk, on one URL. Afterwards the API and nginx hold what they held: "
    "processes, descriptors, connections but for those of pools, and no lock, slot or place in the line. "
    f"A load of {wrk.WARM_UP_S} s on the hot one goes before the first round."
)


@dataclass
class _Overload:
    rendered: int = 0
    refused: int = 0
    slowest_refusal_s: float = 0.0
    slowest_s: float = 0.0


def measure(options: Options) -> list[Result]:
    """Hot answers a second, their 99th percentile, and how long refusals take."""
    hot: dict[str, list[float]] = {BEFORE: [], DURING: [], AFTER: []}
    p99, refusals = [], []
    with contextlib.ExitStack() as stack:
        ours = stack.enter_context(image_stack(options.folder / "stack", BASE_MIN_PIXELS="0"))
        path = max(options.jpegs(), key=lambda each: each.stat().st_size)
        image = ours.upload(path.read_bytes(), dkey="bench.jpg")
        address = f"{ours.address}/image/read?id={image['id']}"
        wishes = _wishes()
        asking.ask([f"{address}&width=100"])
        # The greater, which other work on the machine has disturbed less; and each process has made pictures.
        capacity = max(
            asking.ask([f"{address}&{next(wishes)}" for _ in range(32)], clients=clients).rate
            for clients in (4, 32)
        )
        wrk.load([f"{address}&width=100"], wrk.WARM_UP_S)
        before = held(ours)
        for _ in range(options.rounds):
            hot[BEFORE].append(wrk.load([f"{address}&width=100"], options.seconds).rate)
            with _cold(address, wishes, TIMES_TOO_MANY * capacity) as overload:
                wait_until(lambda: overload.refused > 0, what="a refusal", timeout_s=20)
                load = wrk.load([f"{address}&width=100"], options.seconds)
            hot[DURING].append(load.rate)
            p99.append(load.p99_ms)
            refusals.append(overload.slowest_refusal_s)
            if not overload.rendered:
                raise RuntimeError(f"this was no overload: {overload}")
            wait_until_as(before, ours)
            hot[AFTER].append(wrk.load([f"{address}&width=100"], options.seconds).rate)
    rates = {name: Series(tuple(values)) for name, values in hot.items()}
    rounds = options.rounds
    return [
        Result(
            "overload",
            "req/s",
            rates,
            (Bar(DURING, BEFORE, at_least=0.8), Bar(AFTER, BEFORE, at_least=0.8)),
            NOTE,
        ),
        Result(
            "overload, times",
            "ms",
            {
                P99: Series(tuple(p99)),
                FIFTY_MS: Series((50.0,) * rounds),
                SLOWEST_REFUSAL: Series(tuple(1000 * each for each in refusals)),
                FIVE_SECONDS: Series((5000.0,) * rounds),
            },
            (Bar(P99, FIFTY_MS, at_most=1), Bar(SLOWEST_REFUSAL, FIVE_SECONDS, at_most=1)),
        ),
    ]


def _wishes() -> Iterator[str]:
    """Pictures of alike sizes, each of its own: a run asks for more of them than there are widths."""
    return (f"width={width}&quality={quality}" for quality in range(50, 100) for width in range(200, 600))


@contextlib.contextmanager
def _cold(address: str, wishes: Iterator[str], rate: float) -> Iterator[_Overload]:
    """Asks for `rate` new pictures a second until the block ends; then waits for the answers."""
    seen, lock, stop = _Overload(), threading.Lock(), threading.Event()

    def ask(url: str) -> None:
        began = time.perf_counter()
        host = address.split("/")[2]
        with contextlib.closing(http.client.HTTPConnection(host, timeout=60)) as connection:
            connection.request("GET", url.removeprefix(f"http://{host}"))
            answer = connection.getresponse()
            answer.read()
        took = time.perf_counter() - began
        with lock:
            seen.slowest_s = max(seen.slowest_s, took)
            if answer.status == http.client.OK:
                seen.rendered += 1
            elif answer.status == http.client.SERVICE_UNAVAILABLE and answer.getheader("Retry-After"):
                seen.refused += 1
                seen.slowest_refusal_s = max(seen.slowest_refusal_s, took)
            else:
                raise RuntimeError(f"an answer of {answer.status}")

    asked = []
    with ThreadPoolExecutor(CLIENTS) as clients:

        def schedule() -> None:
            began = time.perf_counter()
            for number in itertools.count():
                if stop.wait(max(0.0, began + number / rate - time.perf_counter())):
                    return
                asked.append(clients.submit(ask, f"{address}&{next(wishes)}"))

        scheduler = threading.Thread(target=schedule)
        scheduler.start()
        try:
            yield seen
        finally:
            stop.set()
            scheduler.join()
    for each in asked:
        each.result()
