"""The page of all counters, as Prometheus asks for it (its text-based exposition format)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector


@dataclass(frozen=True, slots=True)
class Reading:
    """A value of this moment that no process counts: one line of the page."""

    name: str
    help: str
    value: float
    labels: Mapping[str, str] = field(default_factory=dict)
    is_counter: bool = False
    """It only grows; `name` has no `_total`, the page has."""


def exposition(readings: Iterable[Reading] = ()) -> tuple[str, bytes]:
    """All counters and `readings` as text, with its media type: of every process, or of this one alone."""
    page = generate_latest(_registry())
    now = CollectorRegistry()
    now.register(_Readings(readings))
    return CONTENT_TYPE_LATEST, page + generate_latest(now)


def counted(counters: Mapping[str, str]) -> list[dict[str, int]]:
    """Counters added up over all processes: for each the values of its named label, with their sums."""
    sums: dict[str, dict[str, int]] = {name: {} for name in counters}
    for family in _registry().collect():
        for sample in family.samples:
            if sample.name in sums:
                value = sample.labels[counters[sample.name]]
                found = sums[sample.name]
                found[value] = found.get(value, 0) + int(sample.value)
    return list(sums.values())


def _registry() -> CollectorRegistry:
    """Every process's counters, or those of this one alone."""
    try:
        # One collector a scrape: it reads the files of processes that came and went meanwhile.
        registry = CollectorRegistry()
        MultiProcessCollector(registry)
    except ValueError:
        return REGISTRY
    return registry


class _Readings(Collector):
    def __init__(self, readings: Iterable[Reading]) -> None:
        self._readings = list(readings)

    def collect(self) -> Iterable[CounterMetricFamily | GaugeMetricFamily]:
        families: dict[str, CounterMetricFamily | GaugeMetricFamily] = {}
        for one in self._readings:
            kind = CounterMetricFamily if one.is_counter else GaugeMetricFamily
            family = families.setdefault(one.name, kind(one.name, one.help, labels=list(one.labels)))
            family.add_metric(list(one.labels.values()), one.value)
        return families.values()
