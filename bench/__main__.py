"""Measures this project side by side with its limits and rivals, and writes a table.

usage: make bench [ARGS="PART ... --photos FOLDER --rounds N"]
"""

import argparse
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from bench import cold, engines, hot, memory, overload, presets, report, scale, tasks, upload
from bench.options import Options

PARTS: dict[str, Callable[[Options], list[report.Result]]] = {
    "hot": hot.measure,
    "cold": cold.measure,
    "engines": engines.measure,
    "presets": presets.measure,
    "upload": upload.measure,
    "tasks": tasks.measure,
    "memory": memory.measure,
    "scale": scale.measure,
    "overload": overload.measure,
}

CHARTIST = Path(__file__).resolve().parent.parent / ".venv-chart/bin/python"
"""The interpreter that has matplotlib; `make bench` installs it."""

RESULTS = Path(__file__).resolve().parent / "results"


def main() -> None:
    """Measure the parts that were asked for, all if none was, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__.partition("\n")[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)} (all)")
    parser.add_argument("--photos", type=Path, help="a folder of JPEGs (made-up pictures)")
    parser.add_argument("--rounds", type=int, default=5, help="of each contestant (5)")
    parser.add_argument("--seconds", type=int, default=5, help="of load in a round (5)")
    parser.add_argument("--count", type=int, default=100, help="tasks in a round (100)")
    asked = parser.parse_args()
    if unknown := set(asked.parts) - set(PARTS):
        parser.error(f"no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    if min(asked.rounds, asked.seconds, asked.count) < 1:
        parser.error("--rounds, --seconds and --count are at least 1")
    if asked.photos is not None and not asked.photos.is_dir():
        parser.error(f"--photos {asked.photos} is no folder")
    about = report.machine()
    results: list[report.Result] = []
    for part in asked.parts or PARTS:
        with tempfile.TemporaryDirectory(prefix="imagestore-bench-") as folder:
            options = Options(Path(folder), asked.photos, asked.rounds, asked.seconds, asked.count)
            results += PARTS[part](options)
        # Now, since a later part may fail after an hour.
        table = report.write(RESULTS, results, about)
    print(table.read_text())
    print(f"Also in {table} and {table.with_suffix('.json')}.")
    if CHARTIST.exists():
        subprocess.run([CHARTIST, str(Path(__file__).with_name("chart.py")), str(RESULTS)], check=True)
        print(f"As a picture: {table.with_suffix('.png')}.")


if __name__ == "__main__":
    main()
