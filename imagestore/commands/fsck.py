"""`imagestore fsck`: rows and stored originals compared, and mended."""

import contextlib
from dataclasses import asdict

import click

from imagestore.commands.gc import refuse_doubtful
from imagestore.commands.options import opens_store
from imagestore.commands.output import Output
from imagestore.settings import Settings
from imagestore.taskrecords import Miscount
from imagestore.upkeep.fsck import FOLDERS, Finding, check
from imagestore.upkeep.parts import open_parts, other_store


@click.command()
@click.option("--quick", is_flag=True, help="Compare names and lengths only; read no file.")
@click.option("--repair", is_flag=True, help="Mend what can be mended without losing anything.")
@click.option(
    "--from",
    "sources",
    metavar="STORE",
    multiple=True,
    help="With --repair: a store with copies, as DIR/originals of a backup. May be given more than once.",
)
@click.option(
    "--readers",
    type=click.IntRange(1, 64),
    default=4,
    show_default=True,
    help="Files that are read at once.",
)
@click.option("--anyway", is_flag=True, help="With --repair: also when no row needs most of all originals.")
@opens_store
def command(
    settings: Settings,
    out: Output,
    quick: bool,
    repair: bool,
    sources: tuple[str, ...],
    readers: int,
    anyway: bool,
) -> int:
    """Compare all rows with all stored originals: missing files, files that no row needs, wrong lengths,
    damaged bytes. Also count the tasks anew. The servers may run. Exit status 1 when a fault was found
    that is not mended."""
    if sources and not repair:
        raise click.UsageError("--from needs --repair")
    counts = {"originals": 0, "bytes": 0, "faults": 0, "mended": 0}
    with contextlib.ExitStack() as stack:
        parts = stack.enter_context(open_parts(settings))
        others = [stack.enter_context(other_store(url, settings)) for url in sources]
        menders = (parts.healer(others), parts.collector()) if repair else None
        if repair and not anyway:
            # Files that no row needs go, as in a collection.
            refuse_doubtful(parts.collector())
        if repair and anyway:
            parts.collector().claim()
        progress = stack.enter_context(out.progress("folders checked", FOLDERS))
        folder = 0
        for step in check(parts.survey(deep=not quick, readers=readers), menders):
            progress.advance(step.folder - folder, failed=len(step.findings))
            folder = step.folder
            counts |= {"originals": step.originals, "bytes": step.bytes}
            for finding in step.findings:
                counts["faults"] += 1
                counts["mended"] += finding.mended
                _print(out, finding)
        progress.advance(FOLDERS - folder)
        for wrong in parts.tasks.recount(repair=repair):
            counts["faults"] += 1
            counts["mended"] += repair
            _print_miscount(out, wrong, repair)
    summary = "{originals} originals, {bytes} bytes, {faults} faults, {mended} of them mended"
    out.text(summary.format(**counts), counts)
    return 0 if counts["faults"] == counts["mended"] else 1


def _print(out: Output, finding: Finding) -> None:
    fault = finding.fault
    about = f"image {fault.image_id}" if fault.image_id else "no image"
    if fault.images > 1:
        about += f" and {fault.images - 1} more"
    age = "" if fault.age_s is None else f", {fault.age_s} s old"
    line = f"{fault.kind} {fault.sha256} ({about}{age}): {fault.detail}"
    out.text(f"{line}; {finding.outcome.text}" if finding.outcome else line, finding.described())


def _print_miscount(out: Output, wrong: Miscount, mended: bool) -> None:
    line = f"miscount of {wrong}"
    told = {"kind": "miscount", **asdict(wrong.standing), "noted": wrong.noted, "real": wrong.real}
    out.text(f"{line}; counted anew" if mended else line, {**told, "mended": mended})
