"""`imagestore quota`: what domains hold and may hold."""

import click

from imagestore.accounts import open_accounts
from imagestore.commands.options import opens_store
from imagestore.commands.output import Output
from imagestore.errors import InvalidParameter
from imagestore.ledger import Quota, describe_usage
from imagestore.names import check_domain
from imagestore.service import prepare_database
from imagestore.settings import Settings

COLUMNS = ("domain", "images", "bytes", "max_images", "max_bytes")

_UNITS = {"k": 1024, "m": 1024**2, "g": 1024**3, "t": 1024**4}
_PAGE = 1000


@click.group()
def command() -> None:
    """Show what domains hold, set what they may hold, count anew."""


@command.command("list")
@opens_store
def list_(settings: Settings, out: Output) -> None:
    """List the domains with their images, their bytes and their limits."""
    with open_accounts(settings) as accounts:
        after: str | None = None
        while page := accounts.usage(after=after, limit=_PAGE, domains=frozenset()):
            after = page[-1].domain
            out.rows((describe_usage(usage, accounts.quota) for usage in page), COLUMNS)


@command.command("set")
@click.argument("domain")
@click.option("--images", type=click.IntRange(0), help="How many images it may hold.")
@click.option("--bytes", "size", metavar="SIZE", help="How many bytes, as 500m, 20g or 1t (of 1024).")
@opens_store
def set_(settings: Settings, out: Output, domain: str, images: int | None, size: str | None) -> None:
    """Limit DOMAIN; what is not given is as the settings QUOTA_IMAGES and QUOTA_BYTES say.

    A domain that holds more already keeps it, and takes nothing new.
    """
    quota = Quota(images, None if size is None else _size(size))
    check_domain(domain)
    prepare_database(settings)
    with open_accounts(settings) as accounts:
        accounts.set_quota(domain, quota)
        (usage,) = accounts.usage(after=None, limit=1, domains=frozenset([domain]))
        out.record(describe_usage(usage, accounts.quota))


@command.command()
@opens_store
def recount(settings: Settings, out: Output) -> None:
    """Count every domain anew, and print those whose usage was wrong.

    Needed after servers of a version that does not count worked beside new ones. Uploads into a
    domain wait while it is counted, a few seconds for a million images.
    """
    with open_accounts(settings) as accounts:
        out.rows(({"domain": domain} for domain in accounts.recount()), ("domain",))


def _size(text: str) -> int:
    number, unit = (text[:-1], text[-1:].lower()) if text[-1:].lower() in _UNITS else (text, "")
    if not (number.isascii() and number.isdigit() and len(number) < 16):
        raise InvalidParameter(
            "bytes", f"--bytes is {text!r}, expected a number of bytes, or as 500m, 20g, 1t"
        )
    return int(number) * _UNITS.get(unit, 1)
