"""`imagestore backup`: database, originals and secrets into a folder."""

from pathlib import Path

import click

from imagestore.commands.options import opens_store
from imagestore.commands.output import Output
from imagestore.settings import Settings
from imagestore.upkeep.backup import Backup, Progress
from imagestore.upkeep.parts import open_parts, open_tables


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), metavar="DIR")
@click.option(
    "--keep",
    type=click.IntRange(1),
    metavar="N",
    help="Keep the newest N dumps and what they need; remove the rest [default: keep all].",
)
@opens_store
def command(settings: Settings, out: Output, folder: Path, keep: int | None) -> int:
    """Back up database, originals and secrets to DIR; a further backup to the same DIR copies what is
    new. The servers may run. Exit status 1 when an original is missing or damaged in the store."""
    backup, state = Backup(folder), Progress()
    with backup.alone(), open_tables(settings) as tables, open_parts(settings) as parts:
        with out.progress("rows looked at") as progress:
            done = 0
            for state in backup.make(tables, parts.inventory, parts.storage, settings.data_dir):
                progress.advance(state.done - done)
                done = state.done
        pruned = backup.prune(keep) if keep else 0
    return report(out, "backed up", state, {"pruned": pruned})


def report(out: Output, what: str, state: Progress, more: dict[str, object]) -> int:
    """Print what became of a backup or a restore; gives the exit status."""
    for fault in state.faults:
        out.text(f"{fault.outcome} {fault.sha256}", {"sha256": fault.sha256, "outcome": fault.outcome})
    dump = state.dump.created if state.dump else ""
    tables = {name: table.rows for name, table in state.dump.tables.items()} if state.dump else {}
    line = f"{what} {dump}: {tables.get('image_info')} images, {tables.get('image_task')} tasks, "
    line += f"{state.copied} originals copied ({state.bytes} bytes), {len(state.faults)} faults"
    counts = {"copied": state.copied, "bytes": state.bytes, "faults": len(state.faults)}
    out.text(line, {"dump": dump, "tables": tables, **counts, **more})
    return 1 if state.faults else 0
