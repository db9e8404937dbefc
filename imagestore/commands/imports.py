"""`imagestore import`: a folder's pictures, or those that a list names, into the store."""

import csv
import json
import os
import signal
from collections import Counter
from contextlib import closing
from pathlib import Path

import click

from imagestore.client import Client
from imagestore.commands import OK, PROBLEMS, STOPPED
from imagestore.commands.intake import Intake
from imagestore.commands.journal import FAILED, FETCHING, KNOWN, REPORT_COLUMNS, STORED, WARNING, Journal
from imagestore.commands.options import works_on_server
from imagestore.commands.output import Output
from imagestore.commands.sources import Source
from imagestore.errors import InvalidParameter
from imagestore.names import DEFAULT_DOMAIN, check_domain, check_prefix

SHOWN_FAILURES = 5
"""Reasons that are printed at the end; the report has all of them."""


@click.command()
@click.argument("source", type=click.Path(exists=True, path_type=Path))
@click.option("--domain", default=DEFAULT_DOMAIN, show_default=True, help="Where pictures go that name none.")
@click.option("--prefix", default="", help="In front of every dkey, as 2026/.")
@click.option("--overwrite", is_flag=True, help="Replace what other bytes are stored under a name.")
@click.option("--jobs", type=click.IntRange(1, 64), default=4, show_default=True, help="Files sent at once.")
@click.option("--journal", type=click.Path(path_type=Path), help="What is done [default: beside SOURCE].")
@click.option("--report", type=click.Path(path_type=Path), help="Write what failed, and why: .csv or .jsonl.")
@click.option("--no-wait", is_flag=True, help="Leave when all URLs are handed over.")
@works_on_server
def command(
    client: Client,
    out: Output,
    source: Path,
    domain: str,
    prefix: str,
    overwrite: bool,
    jobs: int,
    journal: Path | None,
    report: Path | None,
    no_wait: bool,
) -> int:
    """Store the pictures of SOURCE: a folder, or a list as .csv, .tsv or .jsonl.

    In a folder a picture's dkey is its path; hidden files and folders, Thumbs.db and
    desktop.ini are left out. A list has the columns
    file or url, and perhaps domain, dkey, metadata; files are found from where the list is.

    Ctrl-C stops it, and the same command goes on. What is stored already is not sent again.
    """
    if report is not None and report.suffix not in (".csv", ".jsonl"):
        raise InvalidParameter(
            "report", f"the report is {report.name!r}, expected a name with .csv or .jsonl"
        )
    pictures = Source(source, check_domain(domain), check_prefix(prefix) if prefix else "")
    path = journal or Path(f"{os.path.abspath(source)}.{domain}.import-journal")
    purpose = {"server": client.server, "domain": domain, "prefix": prefix}
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with closing(Journal(path, purpose)) as noted:
        if report is not None:
            report.open("a").close()  # Better told now than after the work.
        stopped = False
        total, left_out = pictures.count()
        with out.progress("import", total) as progress:
            intake = Intake(client, noted, progress, jobs=jobs, overwrite=overwrite)
            try:
                intake.feed(iter(pictures))
                if not no_wait:
                    intake.watch()
            except KeyboardInterrupt:
                stopped = True
            finally:
                if report is not None:
                    _write_report(report, noted)
        failed = _tell(out, noted, intake.tally, left_out, report)
    if stopped:
        out.hint(f"stopped; the same command goes on (its journal is {path})")
        return STOPPED
    return PROBLEMS if failed else OK


def _tell(out: Output, journal: Journal, tally: Counter[str], left_out: int, report: Path | None) -> int:
    """Print what this run did and what is still wrong; how many entries of the import failed."""
    counts = journal.counts()
    told = {name: tally[name] for name in (STORED, KNOWN, "skipped")}
    told |= {"warnings": counts.get(WARNING, 0), "failed": counts.get(FAILED, 0)}
    out.record({**told, "waiting": counts.get(FETCHING, 0), "left_out": left_out})
    for number, outcome in enumerate(journal.in_state(FAILED)):
        if number == SHOWN_FAILURES:
            where = f"{report} has all of them" if report else "--report writes all of them"
            out.hint(f"... and {told['failed'] - number} more; {where}")
            break
        out.hint(f"{outcome.source}: {outcome.problem}: {outcome.detail}")
    return told["failed"]


def _write_report(path: Path, journal: Journal) -> None:
    """Everything that failed, or was stored with a remark."""
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, REPORT_COLUMNS)
        if path.suffix == ".csv":
            table.writeheader()
        for outcome in journal.in_state(FAILED, WARNING):
            if path.suffix == ".csv":
                table.writerow(outcome.report())
            else:
                file.write(json.dumps(outcome.report(), ensure_ascii=False) + "\n")
