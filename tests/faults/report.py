"""The table of docs/reliability.md, from what was measured."""

import datetime
import os
from collections.abc import Sequence

from tests.faults.journal import CACHED, COLD, WRITE
from tests.faults.trial import Outcome
from tests.servers import ROOT

DOCUMENT = ROOT / "docs" / "reliability.md"

HEAD = (
    "| fault | times | held s | writes acknowledged | lost | cached reads away s | cold reads away s "
    "| writes away s | slowest answer s | oldest stale read s |\n"
    "|---|---|---|---|---|---|---|---|---|---|\n"
)


def table(outcomes: Sequence[Outcome]) -> str:
    """A line for each fault, in the order in which they came first; the worst of all times counts."""
    by_name: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        by_name.setdefault(outcome.fault.name, []).append(outcome)
    lines = [_line(name, times) for name, times in by_name.items()]
    written, lost = sum(one.acknowledged for one in outcomes), sum(one.lost for one in outcomes)
    total = f"| **all** | {len(outcomes)} | | {written} | {lost} | | | | | |\n"
    return HEAD + "".join(lines) + total


def _line(name: str, times: Sequence[Outcome]) -> str:
    def worst(kind: str) -> str:
        return f"{max(one.unavailable[kind] for one in times):.1f}"

    cells = [
        name,
        str(len(times)),
        f"{max(one.lifted - one.started for one in times):.1f}",
        str(sum(one.acknowledged for one in times)),
        str(sum(one.lost for one in times)),
        *(worst(kind) for kind in (CACHED, COLD, WRITE)),
        f"{max(one.slowest_s for one in times):.1f}",
        f"{max(one.stalest_s for one in times):.1f}",
    ]
    return f"| {' | '.join(cells)} |\n"


def write_section(name: str, text: str) -> None:
    """Put `text`, with its date and machine, between the marks `<!-- name -->` and `<!-- /name -->`."""
    begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
    head, _, rest = DOCUMENT.read_text().partition(begin)
    _, _, tail = rest.partition(end)
    where = f"{os.cpu_count()} cores, shared with other work: load {os.getloadavg()[0]:.0f} at the end"
    DOCUMENT.write_text(f"{head}{begin}Measured {datetime.date.today()}, {where}.\n\n{text}{end}{tail}")
