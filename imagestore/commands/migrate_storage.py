"""`imagestore migrate-storage`: originals move to another store while the servers run."""

import contextlib

import click

from imagestore.commands.options import opens_store
from imagestore.commands.output import Output
from imagestore.errors import InvalidParameter
from imagestore.settings import Settings
from imagestore.upkeep.fsck import FOLDERS
from imagestore.upkeep.moving import Mover
from imagestore.upkeep.parts import other_store


@click.command()
@click.argument("source", required=False, metavar="[FROM]")
@click.argument("target", required=False, metavar="[TO]")
@click.option(
    "--copiers",
    type=click.IntRange(1, 64),
    default=4,
    show_default=True,
    help="Files that are copied at once.",
)
@opens_store
def command(settings: Settings, out: Output, source: str | None, target: str | None, copiers: int) -> int:
    """Copy every original from the store FROM to the store TO and compare it there with its hash.

    By default from STORAGE_FALLBACK_URL to STORAGE_URL. Nothing is removed from FROM. A run that was cut
    off is started again. Exit status 1 when an original could not be copied.
    """
    source, target = source or settings.storage_fallback_url, target or settings.storage_url
    if not source:
        raise InvalidParameter("FROM", "FROM is not given and STORAGE_FALLBACK_URL is not set")
    if source == target:
        raise InvalidParameter("TO", "FROM and TO are the same store")
    counts = {"copied": 0, "present": 0, "gone": 0, "damaged": 0, "unreadable": 0, "bytes": 0}
    with contextlib.ExitStack() as stack:
        old = stack.enter_context(other_store(source, settings))
        new = stack.enter_context(other_store(target, settings))
        progress = stack.enter_context(out.progress("folders copied", FOLDERS))
        folder = 0
        for batch in Mover(old, new, settings.spool_dir, copiers=copiers).everything():
            for moved in batch:
                counts[moved.outcome] += 1
                if moved.outcome == "copied":
                    counts["bytes"] += moved.size or 0
                if moved.failed:
                    line = f"{moved.outcome} {moved.sha256}"
                    out.text(line, {"sha256": moved.sha256, "outcome": moved.outcome})
            here = int(batch[-1].sha256[:4], 16)
            progress.advance(here - folder, failed=sum(moved.failed for moved in batch))
            folder = here
        progress.advance(FOLDERS - folder)
    summary = "{copied} originals copied ({bytes} bytes), {present} were there, {gone} are gone meanwhile, "
    out.text((summary + "{damaged} damaged, {unreadable} unreadable").format(**counts), counts)
    return 1 if counts["damaged"] or counts["unreadable"] else 0
