"""Draws the ratios of `results.json` against their bars, as `results.png`.

usage: python bench/chart.py RESULTS_FOLDER    in an environment of its own, which has matplotlib
"""

import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

from matplotlib import pyplot

PASSED, FAILED = "#2a9d62", "#c8452f"


def main(folder: Path) -> None:
    """One line a bar: the ratio as a part of what is demanded; to the right of 1 it is met."""
    results = json.loads((folder / "results.json").read_text())["results"]
    lines = []
    for result in results:
        for bar in result["bars"]:
            demanded = bar["at_least"] if bar["at_least"] is not None else bar["at_most"]
            if demanded is None:
                continue
            share = bar["ratio"] / demanded if bar["at_least"] is not None else demanded / bar["ratio"]
            sign = ">=" if bar["at_least"] is not None else "<="
            label = f"{result['part']}: {bar['contestant']} / {bar['against']}"
            lines.append((label, share, f"{bar['ratio']:.2f} ({sign} {demanded:g})", bar["passed"]))
    figure, axes = pyplot.subplots(figsize=(12, 1.5 + 0.32 * len(lines)), layout="constrained")
    places = range(len(lines), 0, -1)
    axes.barh(
        places,
        [share - 1 for _, share, _, _ in lines],
        left=1,
        color=[PASSED if passed else FAILED for *_, passed in lines],
    )
    for place, (_, share, text, _) in zip(places, lines, strict=True):
        axes.annotate(
            text, (share, place), xytext=(4, 0), textcoords="offset points", va="center", fontsize=8
        )
    axes.set_yticks(list(places), [label for label, *_ in lines], fontsize=8)
    axes.set_xscale("log")
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_xlabel("measured, as a part of what is demanded (right of 1: met)")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(folder / "results.png", dpi=110)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
