"""`imagestore info`: what is known about a picture."""

import click

from imagestore.client import Client
from imagestore.commands.options import asks_server
from imagestore.commands.output import Output


@click.command()
@click.argument("picture")
@asks_server
def command(client: Client, out: Output, picture: str) -> None:
    """Print what is known about PICTURE: an id, an md5 or sha256 sum, or domain/dkey."""
    out.record(client.info(picture).described)
