"""What domains hold and may hold, and who changed what: looked at, set, and cleared away when it is old."""

import contextlib
import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from imagestore.auditcatalog import AuditCatalog
from imagestore.ledger import AuditEntry, Quota, Usage
from imagestore.settings import Settings
from imagestore.usagecatalog import UsageCatalog

log = logging.getLogger(__name__)

SWEEPS = 50
"""Sweeps of 1,000 entries that follow each other; the rest waits for the next minute."""


class Accounts:
    """Usage, quotas and the audit log."""

    def __init__(self, usage: UsageCatalog, audit: AuditCatalog, *, quota: Quota, audit_days: int) -> None:
        """`quota` is that of domains without one of their own."""
        self.quota = quota
        self._usage = usage
        self._audit = audit
        self._audit_days = audit_days

    @classmethod
    def open(cls, settings: Settings) -> "Accounts":
        """Those of the settings' database. Nothing connects before the first call."""
        usage, audit = UsageCatalog(settings.database_url), AuditCatalog(settings.database_url)
        return cls(usage, audit, quota=settings.quota, audit_days=settings.audit_days)

    def close(self) -> None:
        """Let go of the database."""
        self._usage.close()
        self._audit.close()

    def usage(self, *, after: str | None, limit: int, domains: frozenset[str]) -> list[Usage]:
        """Up to `limit` domains after that one, in the order of their names; no `domains` are all."""
        return self._usage.page(after=after, limit=limit, domains=domains)

    def total(self, domains: frozenset[str]) -> tuple[int, int, int]:
        """How many domains there are, and how many images and bytes in them; no `domains` are all."""
        return self._usage.total(domains)

    def set_quota(self, domain: str, quota: Quota) -> None:
        """Give a domain a quota of its own; None in it falls back to the settings."""
        self._usage.set_quota(domain, quota)
        log.info("quota of domain=%s is %s", domain, quota)

    def recount(self) -> list[str]:
        """Count all domains anew; gives those whose usage was wrong."""
        return [domain for domain in self._usage.domains() if self._usage.recount(domain)]

    def audit(
        self,
        *,
        before: int | None,
        limit: int,
        domains: frozenset[str],
        image_id: int | None,
        key_id: str | None,
    ) -> list[AuditEntry]:
        """Up to `limit` entries with an id below `before`, the newest first; no `domains` are all."""
        return self._audit.page(before=before, limit=limit, domains=domains, image_id=image_id, key_id=key_id)

    def sweep(self) -> int:
        """Remove entries of the audit log that are too old; how many went."""
        before = datetime.now(UTC) - timedelta(days=self._audit_days)
        gone = 0
        for _ in range(SWEEPS):
            some = self._audit.sweep(before)
            gone += some
            if not some:
                break
        return gone


@contextlib.contextmanager
def open_accounts(settings: Settings) -> Iterator[Accounts]:
    """The accounts alone, without the rest of an image store."""
    with contextlib.closing(Accounts.open(settings)) as accounts:
        yield accounts
