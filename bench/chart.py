"""Draws the ratios of `results.json` against their bars, as `results.png`.

usage: python bench/chart.py RESULTS_FOLDER    in an environment of its own, which has matplotlib
"""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

from matplotlib import patches, pyplot, ticker

PASSED, FAILED = "#0072b2", "#e69f00"
"""Blue and orange of Okabe and Ito, which colour-blind people tell apart; what failed is hatched too."""

TICKS = [digit * 10.0**power for power in range(-3, 4) for digit in (1, 2, 5)]


@dataclass(frozen=True)
class Line:
    """A ratio as a part of what is demanded, with its least and greatest; from 1 on it is met."""

    label: str
    share: float
    least: float
    greatest: float
    passed: bool
    text: str


def main(folder: Path) -> None:
    """Draw a line for each bar that demands something."""
    lines = list(_lines(json.loads((folder / "results.json").read_text())["results"]))
    figure, axes = pyplot.subplots(figsize=(13, 1.7 + 0.32 * len(lines)), layout="constrained")
    if lines:
        _draw(axes, lines)
    else:
        axes.set_title("Of what was measured nothing is demanded.")
    key = [
        patches.Patch(facecolor=PASSED, label="met"),
        patches.Patch(facecolor=FAILED, edgecolor="black", hatch="///", label="missed"),
        axes.plot([], [], color="black", marker="D", linestyle="none", label="demanded")[0],
        axes.plot([], [], color="black", linewidth=1, marker="|", label="least to greatest round")[0],
    ]
    figure.legend(handles=key, loc="outside upper right", ncols=len(key), fontsize=8, frameon=False)
    figure.savefig(folder / "results.png", dpi=110)


def _lines(results: Sequence[Mapping[str, Any]]) -> Iterator[Line]:
    for result in results:
        for bar in result["bars"]:
            at_least, at_most = bar["at_least"], bar["at_most"]
            if at_least is None and at_most is None:
                continue
            ratios = (bar["ratio"], bar["least"], bar["greatest"])
            shares = [ratio / at_least if at_least is not None else at_most / ratio for ratio in ratios]
            signs = {">=": at_least, "<=": at_most}
            demand = " and ".join(f"{sign} {value:g}" for sign, value in signs.items() if value is not None)
            numbers = "{:.2f} ({:.2f} to {:.2f})".format(*ratios)
            yield Line(
                label=f"{result['part']}, {result['unit']}: {bar['contestant']} / {bar['against']}",
                share=shares[0],
                least=min(shares),
                greatest=max(shares),
                passed=bar["passed"],
                text=f"{numbers}, demanded {demand}{'' if bar['passed'] else ': MISSED'}",
            )


def _draw(axes: Any, lines: Sequence[Line]) -> None:
    places = range(len(lines), 0, -1)
    for place, line in zip(places, lines, strict=True):
        look = (
            {"color": PASSED} if line.passed else {"facecolor": FAILED, "edgecolor": "black", "hatch": "///"}
        )
        axes.barh(place, line.share - 1, left=1, height=0.7, linewidth=0.5, **look)
        axes.plot([line.least, line.greatest], [place, place], color="black", linewidth=1, marker="|")
        axes.annotate(
            line.text,
            (max(1, line.share, line.greatest), place),
            xytext=(8, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
        )
    axes.plot([1] * len(lines), places, color="black", marker="D", markersize=4, linestyle="none")
    axes.axvline(1, color="black", linewidth=0.8, zorder=0)
    axes.set_yticks(list(places), [line.label for line in lines], fontsize=8)
    axes.set_ylim(0.4, len(lines) + 0.6)
    axes.set_xscale("log")
    least, greatest = min(line.least for line in lines), max(line.greatest for line in lines)
    axes.set_xlim(min(least, 0.5) / 1.1, max(greatest, 2) * 1.1)
    axes.xaxis.set_major_locator(ticker.FixedLocator(TICKS))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_locator(ticker.NullLocator())
    axes.set_xlabel("measured, as a part of what is demanded (right of 1: met)", fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
