"""`imagestore keys`: API keys, made, listed and revoked."""

import click

from imagestore.commands.lives import parse_life
from imagestore.commands.options import opens_store
from imagestore.commands.output import Output
from imagestore.grants import RIGHTS, check_domains, check_key_name, check_rights, describe_key
from imagestore.keyring import open_keyring
from imagestore.service import prepare_database
from imagestore.settings import Settings

COLUMNS = ("id", "name", "rights", "domains", "create_time", "use_time", "expire_time", "revoke_time")


@click.group()
def command() -> None:
    """Make, list and revoke API keys; servers that run take notice within seconds."""


@command.command()
@click.argument("name")
@click.option(
    "--rights",
    type=click.Choice(RIGHTS),
    default="write",
    show_default=True,
    help="Each includes the former.",
)
@click.option("--domains", metavar="A,B", help="Only there [default: everywhere].")
@click.option("--expires", metavar="TIME", help="Life of the key, as 90d, 12h or 30m [default: no end].")
@opens_store
def add(
    settings: Settings, out: Output, name: str, rights: str, domains: str | None, expires: str | None
) -> None:
    """Make a key. NAME tells people whose it is. The key itself is shown this once."""
    checked = check_key_name(name), check_rights(rights)
    limited = frozenset() if domains is None else check_domains(domains.split(","))
    life_s = None if expires is None else parse_life(expires)
    # The keys of a new server can be made before its first start.
    prepare_database(settings)
    with open_keyring(settings) as keyring:
        key, secret = keyring.add(*checked, limited, expires_in_s=life_s)
    out.hint("This is the key; it cannot be shown again.")
    out.text(secret, {**describe_key(key), "key": secret})


@command.command("list")
@opens_store
def list_(settings: Settings, out: Output) -> None:
    """List all keys that were ever made, without their secrets."""
    with open_keyring(settings) as keyring:
        none = "there are none; `imagestore keys add NAME` makes one (API_KEY and API_KEYS are not listed)"
        out.rows((describe_key(key) for key in keyring.all()), COLUMNS, none=none)


@command.command()
@click.argument("key_id", type=click.IntRange(1))
@opens_store
def revoke(settings: Settings, out: Output, key_id: int) -> None:
    """End the key with the id KEY_ID, within five seconds everywhere."""
    with open_keyring(settings) as keyring:
        key = keyring.revoke(key_id)
    out.text(f"key {key.id} ({key.name}) is revoked", describe_key(key))
