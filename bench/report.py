"""Results of the parts against their bars, as JSON and as Markdown."""

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from bench.statistics import Series


@dataclass(frozen=True, slots=True)
class Bar:
    """What the ratio of two contestants is to be: at least so much, at most, or only shown."""

    contestant: str
    against: str
    at_least: float | None = None
    at_most: float | None = None

    @property
    def text(self) -> str:
        """`>= 0.85`, `<= 1.5`, or nothing."""
        least = f">= {self.at_least:g}" if self.at_least is not None else ""
        most = f"<= {self.at_most:g}" if self.at_most is not None else ""
        return " and ".join(filter(None, (least, most)))

    def holds(self, ratio: float) -> bool | None:
        """Whether `ratio` passes; None where nothing is demanded."""
        if self.at_least is None and self.at_most is None:
            return None
        return (self.at_least is None or ratio >= self.at_least) and (
            self.at_most is None or ratio <= self.at_most
        )


@dataclass(frozen=True, slots=True)
class Result:
    """One measure of one part: its contestants' series, and the bars between them."""

    part: str
    unit: str
    series: Mapping[str, Series]
    bars: Sequence[Bar]
    note: str = ""
    """How it was measured, in a sentence."""

    def ratio(self, bar: Bar) -> Series:
        """The bar's contestant against the other one, round by round."""
        return self.series[bar.contestant].over(self.series[bar.against])


def machine() -> str:
    """Processors, their load before the run, and the interpreter: what figures depend on."""
    load = os.getloadavg()[0]
    return f"{os.cpu_count()} cores, load {load:.1f} at the start, Python {platform.python_version()}"


def markdown(results: Sequence[Result], about: str) -> str:
    """A section a result: the medians with their spread, and each bar with the measured ratio."""
    lines = [f"Measured {datetime.now(UTC):%Y-%m-%d} on {about}."]
    for result in results:
        lines += ["", f"## {result.part}, {result.unit}", ""]
        lines += [result.note, ""] if result.note else []
        lines += ["| contestant | median | least to greatest | rounds |", "|---|---|---|---|"]
        for name, series in result.series.items():
            least, greatest = map(_number, series.spread)
            rounds = len(series.values)
            lines.append(f"| {name} | {_number(series.median)} | {least} to {greatest} | {rounds} |")
        if result.bars:
            lines += ["", "| ratio | measured | least to greatest | bar | |", "|---|---|---|---|---|"]
            lines += [_bar_line(result, bar) for bar in result.bars]
    return "\n".join(lines) + "\n"


def as_json(results: Sequence[Result], about: str) -> str:
    """The same with every round's value, for comparing runs."""
    document = {
        "machine": about,
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "results": [
            {
                "part": result.part,
                "unit": result.unit,
                "note": result.note,
                "values": {name: series.values for name, series in result.series.items()},
                "bars": [_bar_document(result, bar) for bar in result.bars],
            }
            for result in results
        ],
    }
    return json.dumps(document, indent=2) + "\n"


def write(folder: Path, results: Sequence[Result], about: str) -> Path:
    """Write `results.json` and `results.md` into `folder`; gives the second."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.json").write_text(as_json(results, about))
    table = folder / "results.md"
    table.write_text(markdown(results, about))
    return table


def _bar_document(result: Result, bar: Bar) -> dict[str, object]:
    ratio = result.ratio(bar)
    least, greatest = ratio.spread
    measured = {"ratio": ratio.median, "least": least, "greatest": greatest}
    return {**asdict(bar), **measured, "passed": bar.holds(ratio.median)}


def _bar_line(result: Result, bar: Bar) -> str:
    ratio = result.ratio(bar)
    least, greatest = ratio.spread
    verdict = {True: "pass", False: "**fail**", None: ""}[bar.holds(ratio.median)]
    return (
        f"| {bar.contestant} / {bar.against} | {ratio.median:.2f} | {least:.2f} to {greatest:.2f} "
        f"| {bar.text} | {verdict} |"
    )


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
