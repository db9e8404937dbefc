"""Counters of the whole system, in the form of the Prometheus client.

They work in one process and, when `PROMETHEUS_MULTIPROC_DIR` names a folder before the first import,
added up over all processes that share it (prometheus_client's multiprocess mode).
"""

from collections.abc import Sequence

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Counter,
    Histogram,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector

_RENDERS = Counter(
    "imagestore_renders",
    "Pictures inspected or rendered by decoder processes",
    ["engine", "format", "outcome"],
)
_DECODES = Counter(
    "imagestore_decodes",
    "Times that decoder processes opened and decoded an original; several pictures may come from one",
    ["engine", "format"],
)
_RENDER_SECONDS = Histogram(
    "imagestore_render_seconds",
    "Time in a decoder process, without the wait for a free one",
    ["engine"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)


def count_task(*, engine: str, format: str, outcomes: Sequence[str], decodes: int, seconds: float) -> None:
    """Count one task of a decoder: what became of each picture (`ok` or a name of the problem table),
    and how often it decoded the original for them. `engine` and `format` are `unknown` where the
    decoder did not live to tell them."""
    for outcome in outcomes:
        _RENDERS.labels(engine or "unknown", format or "unknown", outcome).inc()
    _DECODES.labels(engine or "unknown", format or "unknown").inc(decodes)
    _RENDER_SECONDS.labels(engine or "unknown").observe(seconds)


_UNSIGNED = Counter(
    "imagestore_unsigned",
    "Requests whose signature is missing, wrong or expired, and what was done with them",
    ["mode", "problem"],
)


def count_unsigned(*, mode: str, problem: str) -> None:
    """Count a request without a valid signature. `mode` is `enforce` (it was refused) or `report`;
    `problem` is a name of the problem table."""
    _UNSIGNED.labels(mode, problem).inc()


def exposition() -> tuple[str, bytes]:
    """All counters as text, with its media type: of every process, or of this one alone."""
    try:
        # One collector a scrape: it reads the files of processes that came and went meanwhile.
        registry = CollectorRegistry()
        MultiProcessCollector(registry)
    except ValueError:
        registry = REGISTRY
    return CONTENT_TYPE_LATEST, generate_latest(registry)
