"""`imagestore stats`: how much there is."""

import click

from imagestore.commands.options import opens_store
from imagestore.commands.output import Output
from imagestore.diagnosis import open_overview
from imagestore.settings import Settings


@click.command()
@opens_store
def command(settings: Settings, out: Output) -> None:
    """Count pictures and bytes, tasks by flag, jobs by queue, and what cache and store hold.

    Asks the database and Redis themselves, so that it works while the server is down. `quota list` has the
    pictures of each domain.
    """
    with open_overview(settings) as overview:
        out.record(overview.of())
