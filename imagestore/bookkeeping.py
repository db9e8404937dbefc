"""What every change of an image writes beside it, in the same transaction: the domain's usage, held
against its quota, and an entry of the audit log. Only the catalogs use this."""

from functools import cache
from typing import Any

import peewee

from imagestore.actor import actor
from imagestore.database import Connection
from imagestore.errors import QuotaExceeded
from imagestore.ledger import Action, Quota
from imagestore.models import AuditLog, DomainUsage, moment
from imagestore.records import ImageRecord
from imagestore.statements import Selection, Statement, given, given_columns

_ENTRY_COLUMNS = [column for column in AuditLog._meta.sorted_fields if column is not AuditLog.id]
_ENTRY = Statement(AuditLog.insert(given_columns(*_ENTRY_COLUMNS)))
_BLANK = dict.fromkeys(column.name for column in _ENTRY_COLUMNS)


class NoAccount(Exception):
    """The domain has no row of usage yet; it is to be opened outside of the transaction, where no lock
    that this one holds can wait for it."""

    def __init__(self, domain: str) -> None:
        super().__init__(domain)
        self.domain = domain


def enter(database: Connection, action: Action, old: ImageRecord | None, new: ImageRecord | None) -> None:
    """Write the entry for a change of an image from `old` to `new`."""
    image = new or old
    note(
        database,
        action,
        domain=image.domain if image else None,
        image_id=image.id if image else None,
        dkey=image.dkey if image else None,
        sha256_old=old.sha256 if old else None,
        sha256_new=new.sha256 if new else None,
    )


def note(database: Connection, action: Action, **values: Any) -> None:
    """Write an entry with these columns, in the name of whoever acts."""
    who = actor()
    _ENTRY.insert(
        database,
        **_BLANK
        | {
            "action": action,
            "create_time": moment(),
            "key_id": who.key_id,
            "request_id": who.request_id,
            "address": who.address,
        }
        | values,
    )


def charge(database: Connection, quota: Quota, old: ImageRecord | None, new: ImageRecord | None) -> None:
    """Add what a change takes up to its domain's usage; what frees room is never refused.

    It is the last statement of a transaction, so that the row, which all changes of a domain need,
    is held no longer than the commit takes. `quota` is for domains without one of their own.

    Raises:
        QuotaExceeded: the domain has no room for it.
        NoAccount: the domain has no row yet.
    """
    image = new or old
    images = (new is not None) - (old is not None)
    size = (new.size if new else 0) - (old.size if old else 0)
    if image is None or (images, size) == (0, 0):
        return
    statement = _charge(quota, images > 0, size > 0)
    changed = statement.change(database, domain=image.domain, images=images, bytes=size)
    if changed or (images <= 0 and size <= 0):
        return
    known = DomainUsage.select(DomainUsage.domain).where(DomainUsage.domain == image.domain)
    if list(known.tuples().execute(database)):
        raise QuotaExceeded(f"the quota of domain {image.domain!r} is used up")
    raise NoAccount(image.domain)


def room(database: Connection, quota: Quota, domain: str, size: int) -> bool:
    """Whether a domain has room for one more image of `size` bytes now; nothing is reserved."""
    return not _full(quota).rows(database, domain=domain, images=1, bytes=size)


def foresee(quota: Quota) -> None:
    """Let the statements be there that an image more needs."""
    _full(quota)
    _charge(quota, True, True)


def open_account(database: Connection, domain: str) -> None:
    """Make the domain's row of usage, if there is none."""
    DomainUsage.insert(domain=domain, images=0, bytes=0).on_conflict_ignore().execute(database)


@cache
def _charge(quota: Quota, more_images: bool, more_bytes: bool) -> Statement:
    """Add to what a domain holds, if it has room for what is more."""
    images, size = DomainUsage.images, DomainUsage.bytes
    where = DomainUsage.domain == given("domain")
    if more_images:
        where &= _fits(images, DomainUsage.max_images, quota.max_images)
    if more_bytes:
        where &= _fits(size, DomainUsage.max_bytes, quota.max_bytes)
    changes = {images: images + given("images"), size: size + given("bytes")}
    return Statement(DomainUsage.update(changes).where(where))


@cache
def _full(quota: Quota) -> Selection:
    """The domain, if it has no room for so much more."""
    fits = _fits(DomainUsage.images, DomainUsage.max_images, quota.max_images)
    fits &= _fits(DomainUsage.bytes, DomainUsage.max_bytes, quota.max_bytes)
    return Selection(
        DomainUsage.select(DomainUsage.domain).where((DomainUsage.domain == given("domain")) & ~fits)
    )


def _fits(column: Any, own: Any, otherwise: int | None) -> Any:
    limit = own if otherwise is None else peewee.fn.COALESCE(own, otherwise)
    return limit.is_null() | (column + given(column.name) <= limit)
