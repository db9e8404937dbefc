"""The audit log, in the same database as the images. `Catalog` writes what happens to images;
`Catalog.prepare` makes the table. Raises as `Catalog` does."""

from datetime import datetime

from imagestore.database import Database
from imagestore.ledger import AuditEntry
from imagestore.models import AuditLog

_ROWS_PER_SWEEP = 1000
"""Removed in one transaction: short enough for others to write in between."""


class AuditCatalog:
    """The rows of `audit_log`, read and swept."""

    def __init__(self, url: str, *, pool_size: int = 2, timeout_s: float = 2) -> None:
        self._database = Database(url, pool_size=pool_size, timeout_s=timeout_s)

    def close(self) -> None:
        """Close all connections."""
        self._database.close()

    def page(
        self,
        *,
        before: int | None,
        limit: int,
        domains: frozenset[str] = frozenset(),
        image_id: int | None = None,
        key_id: str | None = None,
    ) -> list[AuditEntry]:
        """Up to `limit` entries with an id below `before`, the newest first; no `domains` are all."""
        where = AuditLog.id > 0 if before is None else AuditLog.id < before
        if domains:
            where &= AuditLog.domain.in_(sorted(domains))
        if image_id is not None:
            where &= AuditLog.image_id == image_id
        if key_id is not None:
            where &= AuditLog.key_id == key_id
        query = AuditLog.select().where(where).order_by(AuditLog.id.desc()).limit(limit).dicts()
        return self._database.read(lambda database: [AuditEntry(**row) for row in query.execute(database)])

    def sweep(self, before: datetime) -> int:
        """Remove entries older than that, 1,000 at most; how many went."""
        old = AuditLog.select(AuditLog.id).where(AuditLog.create_time < before)
        query = old.order_by(AuditLog.create_time).limit(_ROWS_PER_SWEEP).tuples()
        ids = self._database.read(lambda database: [number for (number,) in query.execute(database)])
        if ids:
            self._database.write(AuditLog.delete().where(AuditLog.id.in_(ids)).execute)
        return len(ids)
