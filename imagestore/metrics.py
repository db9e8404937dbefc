"""Counters of the whole system, in the form of the Prometheus client.

They work in one process and, when `PROMETHEUS_MULTIPROC_DIR` names a folder before the first import,
added up over all processes that share it (prometheus_client's multiprocess mode). docs/operations.md
lists them for people, and `exposition.py` writes the page.
"""

import contextlib
import os
import time
from collections.abc import Iterator, Sequence
from typing import Literal

from prometheus_client import Counter, Gauge, Histogram, values
from prometheus_client.multiprocess import mark_process_dead

from imagestore.errors import (
    ImagestoreError,
    InsufficientStorage,
    OriginalMissing,
    QuotaExceeded,
    Unavailable,
)

_horses_of: int | None = None


def _process() -> str:
    """Whose file a count goes into: this process's own, or that of all jobs of its worker."""
    if _horses_of is not None and os.getpid() != _horses_of:
        return f"jobs{_horses_of}"
    return str(os.getpid())


if getattr(values.ValueClass, "_multiprocess", False):
    # The client's own way to name the files (its page on multiprocess mode); before any metric.
    values.ValueClass = values.MultiProcessValue(_process)

_LATENCIES = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_JOB_TIMES = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 180)
"""Seconds; the limits of requests (10 s) and of jobs (180 s) are the last."""

_REQUESTS = Counter(
    "imagestore_http_requests",
    "Requests that the API answered, by the template of their route",
    ["route", "method", "status"],
)
_REQUEST_SECONDS = Histogram(
    "imagestore_http_request_seconds",
    "From the request's arrival in the API to its answer's first byte",
    ["route"],
    buckets=_LATENCIES,
)
_REQUESTS_NOW = Gauge(
    "imagestore_http_requests_active",
    "Threads of the API that work on a request",
    multiprocess_mode="livesum",
)
_THREADS = Gauge("imagestore_http_threads", "Threads of the API for requests", multiprocess_mode="livesum")
_PROBLEMS = Counter("imagestore_problems", "Answers of the API that are problems, by their type", ["problem"])
_RECEIVED = Counter("imagestore_received_bytes", "Bytes of pictures that came, refused ones too", ["source"])
_PICTURES = Counter(
    "imagestore_pictures", "Renditions that the API gave, by where they came from", ["source"]
)
_RENDERS = Counter(
    "imagestore_renders",
    "Pictures inspected or rendered by decoder processes",
    ["engine", "format", "task", "outcome"],
)
_DECODES = Counter(
    "imagestore_decodes",
    "Times that decoder processes opened and decoded an original; several pictures may come from one",
    ["engine", "format"],
)
_RENDER_SECONDS = Histogram(
    "imagestore_render_seconds",
    "Time in a decoder process, without the wait for a free one",
    ["engine", "format", "task"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
_DECODERS = Gauge(
    "imagestore_decoders", "Renders at work, and those that wait for a free core", ["state"],
    multiprocess_mode="livesum",
)  # fmt: skip
_TASKS = Counter(
    "imagestore_tasks",
    "Attempts at tasks, by how they ended; `again` is tried once more",
    ["kind", "outcome", "problem"],
)
_TASK_SECONDS = Histogram("imagestore_task_seconds", "One attempt at a task", ["kind"], buckets=_JOB_TIMES)
_CALLBACKS = Counter("imagestore_callbacks", "Attempts at callbacks, by how they ended", ["outcome"])
_STORE_SECONDS = Histogram(
    "imagestore_store_seconds",
    "One operation of the store of originals; of a read, until its first byte",
    ["operation"],
    buckets=_LATENCIES,
)
_STORE_FAILURES = Counter("imagestore_store_failures", "Operations of the store that failed", ["operation"])
_DATABASE_SECONDS = Histogram(
    "imagestore_database_seconds",
    "One read or one transaction, with its wait for a connection",
    ["operation"],
    buckets=_LATENCIES,
)
_DATABASE_FAILURES = Counter(
    "imagestore_database_failures", "Reads and transactions that failed", ["operation"]
)
_CONNECTIONS = Gauge(
    "imagestore_database_connections", "Database connections in use, or waited for",
    multiprocess_mode="livesum",
)  # fmt: skip
_CONNECTIONS_LIMIT = Gauge(
    "imagestore_database_connections_limit",
    "Database connections that may be in use, over all processes",
    multiprocess_mode="livesum",
)
_UNSIGNED = Counter(
    "imagestore_unsigned",
    "Requests whose signature is missing, wrong or expired, and what was done with them",
    ["mode", "problem"],
)
_OUTAGES = Counter(
    "imagestore_outages", "How often something was found to be away, by each process", ["dependency"]
)


def count_request(*, route: str, method: str, status: int, seconds: float) -> None:
    """Count an answer. `route` is a template as `/images/{image_id}`, never what a client wrote."""
    _REQUESTS.labels(route, method, str(status)).inc()
    _REQUEST_SECONDS.labels(route).observe(seconds)


def request_begins() -> None:
    """A thread works on a request; `request_ends` has to follow."""
    _REQUESTS_NOW.inc()


def request_ends() -> None:
    _REQUESTS_NOW.dec()


def announce_threads(count: int) -> None:
    """This process answers so many requests at once."""
    _THREADS.set(count)


def count_problem(name: str) -> None:
    """Count an answer that is the problem of that name."""
    _PROBLEMS.labels(name).inc()


def count_received(source: Literal["upload", "download"], size: int) -> None:
    """Count the bytes of a picture that came whole."""
    _RECEIVED.labels(source).inc(size)


def count_picture(source: Literal["cache", "render"]) -> None:
    """Count a rendition that was asked of the API; `render` also when another caller made it."""
    _PICTURES.labels(source).inc()


def count_render(
    *, engine: str, format: str, task: str, outcomes: Sequence[str], decodes: int, seconds: float
) -> None:
    """Count one task of a decoder: what became of each picture (`ok` or a name of the problem table),
    and how often it decoded the original for them. `engine` and `format` are `unknown` where the
    decoder did not live to tell them."""
    engine, format = engine or "unknown", format or "unknown"
    for outcome in outcomes:
        _RENDERS.labels(engine, format, task, outcome).inc()
    _DECODES.labels(engine, format).inc(decodes)
    _RENDER_SECONDS.labels(engine, format, task).observe(seconds)


def count_unsigned(*, mode: str, problem: str) -> None:
    """Count a request without a valid signature. `mode` is `enforce` (it was refused) or `report`;
    `problem` is a name of the problem table."""
    _UNSIGNED.labels(mode, problem).inc()


def decoder_waited_for() -> contextlib.AbstractContextManager[None]:
    """Around the wait for a free core."""
    return _counted(_DECODERS.labels("waiting"))


def decoder_busy() -> contextlib.AbstractContextManager[None]:
    """Around the work of a decoder."""
    return _counted(_DECODERS.labels("busy"))


def count_task(*, kind: str, outcome: str, problem: str | None, seconds: float) -> None:
    """Count an attempt at a task: `outcome` is its new flag, or `again`."""
    _TASKS.labels(kind, outcome, problem or "").inc()
    _TASK_SECONDS.labels(kind).observe(seconds)


def count_buried_task(kind: str) -> None:
    """Count a task that is given up since it ended too many workers."""
    _TASKS.labels(kind, "failed", "poison").inc()


def count_callback(outcome: Literal["delivered", "again", "failed"]) -> None:
    """Count an attempt at a callback."""
    _CALLBACKS.labels(outcome).inc()


def count_outage(dependency: str) -> None:
    """Count that something which answered before is away."""
    _OUTAGES.labels(dependency).inc()


def change_connections_limit(connections: int) -> None:
    """A pool of so many database connections was opened, or, if negative, closed."""
    _CONNECTIONS_LIMIT.inc(connections)


@contextlib.contextmanager
def store_operation(name: str) -> Iterator[None]:
    """Time an operation of the store of originals, and count it if it fails."""
    with _timed(_STORE_SECONDS.labels(name), _STORE_FAILURES, name):
        yield


@contextlib.contextmanager
def database_operation(name: Literal["read", "write"]) -> Iterator[None]:
    """Time an operation of the database, and count it if it fails."""
    with _counted(_CONNECTIONS), _timed(_DATABASE_SECONDS.labels(name), _DATABASE_FAILURES, name):
        yield


@contextlib.contextmanager
def _counted(gauge: Gauge) -> Iterator[None]:
    gauge.inc()
    try:
        yield
    finally:
        gauge.dec()


@contextlib.contextmanager
def _timed(histogram: Histogram, failures: Counter, operation: str) -> Iterator[None]:
    started = time.monotonic()
    try:
        yield
    except Exception as error:
        if not _is_answer(error):
            failures.labels(operation).inc()
        raise
    finally:
        histogram.observe(time.monotonic() - started)


def _is_answer(error: Exception) -> bool:
    """Whether the one that was asked did its work: that a name is taken, say, or a quota used up."""
    if isinstance(error, OriginalMissing | QuotaExceeded):
        return True
    return isinstance(error, ImagestoreError) and not isinstance(error, Unavailable | InsufficientStorage)


# Processes that come and go.


def count_jobs_together() -> None:
    """From now on the forks of this process, of which one at a time may live, share one file.

    A file for each job would be thousands a day, all read at each scrape.
    """
    global _horses_of
    _horses_of = os.getpid()


def job_begins() -> None:
    """What is counted as under way in the file of these jobs is of one that was killed."""
    if _horses_of is not None:
        _forget(f"jobs{_horses_of}")


def forget_process(pid: int) -> None:
    """A process has ended: what it had under way is no longer; its counters stay in the sums."""
    _forget(str(pid))
    _forget(f"jobs{pid}")


def _forget(process: str) -> None:
    with contextlib.suppress(TypeError, OSError):
        mark_process_dead(process)
