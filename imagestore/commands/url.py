"""`imagestore url`: the address of a picture as it is wished for."""

import time
from typing import Any, get_type_hints

import click

from imagestore.client import Client, Sign, Urls, Wish
from imagestore.commands.lives import parse_life
from imagestore.commands.options import Function, asks_server, find_signer
from imagestore.commands.output import Output


def _wishes(function: Function) -> Function:
    """An option for every parameter that a picture can be asked for with."""
    for name, kind in reversed(get_type_hints(Wish).items()):
        flag = f"--{name.replace('_', '-')}"
        if kind is bool:
            function = click.option(f"{flag}/--no-{flag[2:]}", default=None)(function)
        else:
            function = click.option(flag, type=kind, metavar=kind.__name__.upper())(function)
    return function


@click.command()
@click.argument("picture")
@click.option("--path", "only_path", is_flag=True, help="Without the server's address.")
@click.option("--sign", "signed", is_flag=True, help="Sign it, with the first of SIGNING_KEYS.")
@click.option("--expires", metavar="TIME", help="End of the signature, as 90d, 12h or 30m [default: never].")
@_wishes
@asks_server
def command(
    client: Client,
    out: Output,
    picture: str,
    only_path: bool,
    signed: bool,
    expires: str | None,
    **wish: Any,
) -> None:
    """Print the address of PICTURE: an id, an md5 or sha256 sum, or domain/dkey.

    docs/http-api.md says what the options mean. By domain/dkey there are originals alone; with other options
    the server is asked for the picture's id.
    """
    given: Wish = {name: value for name, value in wish.items() if value is not None}  # type: ignore[assignment]  # as _wishes made them
    named = client.info(picture) if "/" in picture and given.keys() - {"download"} else picture
    signer = _signer(expires) if signed or expires else None
    address = Urls("" if only_path else client.server, signer).picture(named, **given)
    out.text(address, {"url": address})


def _signer(expires: str | None) -> Sign:
    signer = find_signer(expires=int(time.time()) + parse_life(expires) if expires else None)
    if signer is None:
        raise click.UsageError("there is no key to sign with; set SIGNING_KEYS as the server has it")
    return signer
