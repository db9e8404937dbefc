"""`imagestore audit`: who changed what."""

import itertools
from collections.abc import Iterator
from typing import Any

import click

from imagestore.accounts import Accounts, open_accounts
from imagestore.commands.options import opens_store
from imagestore.commands.output import Output
from imagestore.ledger import describe_entry
from imagestore.names import check_domain
from imagestore.settings import Settings

COLUMNS = ("time", "action", "key_id", "address", "request_id", "domain", "image_id", "dkey", "detail")

_PAGE = 500


@click.command()
@click.option("--domain", help="Of this domain only.")
@click.option("--image", "image_id", type=click.IntRange(1), metavar="ID", help="Of this image only.")
@click.option("--key", "key_id", metavar="ID", help="By this key only.")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True, help="How many.")
@opens_store
def command(settings: Settings, out: Output, limit: int, domain: str | None, **wanted: Any) -> None:
    """Print the newest changes, the last one first."""
    domains = frozenset([check_domain(domain)]) if domain is not None else frozenset[str]()
    with open_accounts(settings) as accounts:
        entries = itertools.islice(_entries(accounts, domains=domains, **wanted), limit)
        out.rows(entries, COLUMNS)


def _entries(accounts: Accounts, **wanted: Any) -> Iterator[dict[str, Any]]:
    before: int | None = None
    while page := accounts.audit(before=before, limit=_PAGE, **wanted):
        before = page[-1].id
        yield from map(describe_entry, page)
