"""The check of the whole: every fault that the survey finds, and what was done about it."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from imagestore.upkeep.collecting import Collector
from imagestore.upkeep.healing import Healer, Outcome
from imagestore.upkeep.survey import Fault, Survey

FOLDERS = 1 << 16
"""Progress is counted in these, the folders `ab/cd` of a store: hashes are spread evenly over them."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A fault, and what was done about it, if that was asked for."""

    fault: Fault
    outcome: Outcome | None = None

    @property
    def mended(self) -> bool:
        return self.outcome is not None and self.outcome.mended

    def described(self) -> dict[str, Any]:
        """As JSON has it."""
        done = self.outcome.text if self.outcome else None
        return {**asdict(self.fault), "done": done, "mended": self.mended}


@dataclass(frozen=True, slots=True)
class Step:
    """How far a check is: the folder it has come to (0 to 65,536), originals and bytes so far, and what
    it found since the step before."""

    folder: int
    originals: int
    bytes: int
    findings: tuple[Finding, ...]


def check(survey: Survey, repair: tuple[Healer, Collector] | None = None) -> Iterator[Step]:
    """Check everything; with `repair` mend what can be mended without losing anything.

    A missing or damaged original is healed from Redis, a shelf, another store or the URL it came from
    (`healing.py`); what is damaged is never served again meanwhile. A stray file is collected.

    Raises:
        DatabaseUnavailable, StorageUnavailable: the check is not at its end.
    """
    originals = size = 0
    for pairs, faults in survey.run():
        originals += len(pairs)
        size += sum(pair.file.size for pair in pairs if pair.file)
        findings = tuple(Finding(fault, _mend(fault, *repair) if repair else None) for fault in faults)
        yield Step(int(pairs[-1].sha256[:4], 16), originals, size, findings)


def _mend(fault: Fault, healer: Healer, collector: Collector) -> Outcome:
    if fault.kind != "stray":
        return healer.heal(fault)
    return Outcome("removed" if collector.purge(fault.sha256) else "kept, since a row needs it now", True)
