"""What the cache is owed: images whose records it has not been told, since it was away when they changed."""

from dataclasses import dataclass

from imagestore.database import Connection
from imagestore.models import CacheDebt, moment


@dataclass(frozen=True, slots=True)
class Debt:
    """An image whose cached record must be published again; `rev` is the change that is owed."""

    image_id: int
    rev: int


def note(database: Connection, image_id: int, rev: int) -> None:
    """The cache must hear of that change later."""
    debt = CacheDebt.insert(image_id=image_id, rev=rev, create_time=moment())
    debt.on_conflict("REPLACE").execute(database)


def owed(database: Connection, limit: int) -> list[Debt]:
    """Up to `limit` debts."""
    query = CacheDebt.select(CacheDebt.image_id, CacheDebt.rev).order_by(CacheDebt.image_id)
    return [Debt(*row) for row in query.limit(limit).tuples().execute(database)]


def settle(database: Connection, debt: Debt) -> None:
    """It is paid. A newer change stays owed."""
    paid = (CacheDebt.image_id == debt.image_id) & (CacheDebt.rev == debt.rev)
    CacheDebt.delete().where(paid).execute(database)
