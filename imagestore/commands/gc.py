"""`imagestore gc`: originals that no row needs are removed."""

from dataclasses import asdict

import click

from imagestore.commands.options import opens_store
from imagestore.commands.output import Output
from imagestore.settings import Settings
from imagestore.upkeep.collecting import Collected, Collector
from imagestore.upkeep.parts import open_parts


@click.command()
@click.option("--dry-run", is_flag=True, help="Only count.")
@click.option(
    "--grace",
    "grace_s",
    type=click.FloatRange(0),
    metavar="SECONDS",
    help="Spare what was put later than so long ago [env: GC_GRACE_S; default: 86400].",
)
@click.option(
    "--anyway", is_flag=True, help="Also when that is most of all originals, or they are another database's."
)
@opens_store
def command(settings: Settings, out: Output, dry_run: bool, grace_s: float | None, anyway: bool) -> None:
    """Remove originals that no row and no waiting upload needs. The servers may run."""
    done = Collected()
    with open_parts(settings) as parts, out.progress("originals looked at") as progress:
        collector = parts.collector(grace_s)
        if not (dry_run or anyway):
            refuse_doubtful(collector)
        if anyway and not dry_run:
            collector.claim()
        seen = 0
        for done in collector.run(dry_run=dry_run):
            progress.advance(done.examined - seen)
            seen = done.examined
    would = "would be removed" if dry_run else "removed"
    line = (
        f"{done.examined} originals looked at, {done.removed} {would} ({done.bytes} bytes), "
        f"{done.young} too young, {done.restored} kept since a row has come, {done.leftovers} leftovers"
    )
    out.text(line, {**asdict(done), "dry_run": dry_run})


def refuse_doubtful(collector: Collector) -> None:
    """End the command if a collection may be a mistake.

    Raises:
        click.ClickException: it says why, and what to do.
    """
    if doubt := collector.doubt():
        raise click.ClickException(
            f"nothing was removed, since {doubt}. Is DATABASE_URL the right database? --anyway removes them"
        )
