"""`imagestore restore`: a backup into an empty image store."""

from pathlib import Path

import click

from imagestore.commands.backup import report
from imagestore.commands.options import opens_store
from imagestore.commands.output import Output
from imagestore.service import prepare_database
from imagestore.settings import Settings
from imagestore.upkeep.backup import Backup, Progress
from imagestore.upkeep.fsck import check
from imagestore.upkeep.parts import open_parts, open_tables


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path), metavar="DIR")
@click.option("--at", "moment", metavar="MOMENT", help="Which dump of DIR/databases [default: the newest].")
@opens_store
def command(settings: Settings, out: Output, folder: Path, moment: str | None) -> int:
    """Put the backup in DIR into an empty database and a store, and check them. Redis shall be empty
    too, and the servers stopped. Exit status 1 when an original is missing or damaged."""
    backup, state = Backup(folder), Progress()
    prepare_database(settings)
    with backup.alone(), open_tables(settings) as tables, open_parts(settings) as parts:
        # A server that ran on the empty database has claimed the store for it.
        ours = {None, parts.inventory.identity()}
        steps = backup.restore(tables, parts.storage, settings.spool_dir, settings.data_dir, moment)
        with out.progress("originals restored") as progress:
            done = 0
            for state in steps:
                progress.advance(state.done - done)
                done = state.done
        if ours.issuperset(parts.storage.owners()):
            parts.storage.claim(parts.inventory.identity())
        found = [one for step in check(parts.survey(deep=False)) for one in step.findings]
    status = report(out, "restored", state, {"unlike": len(found)})
    return status or (1 if found else 0)
