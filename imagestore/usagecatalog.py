"""What each domain holds and may hold, in the same database as the images. `Catalog` counts;
`Catalog.prepare` makes the table. Raises as `Catalog` does."""

import peewee

from imagestore.bookkeeping import note, open_account
from imagestore.database import Connection, Database
from imagestore.ledger import Quota, Usage
from imagestore.models import DomainUsage, ImageInfo


class UsageCatalog:
    """The rows of `domain_usage`."""

    def __init__(self, url: str, *, pool_size: int = 2, timeout_s: float = 2) -> None:
        self._database = Database(url, pool_size=pool_size, timeout_s=timeout_s)

    def close(self) -> None:
        """Close all connections."""
        self._database.close()

    def page(self, *, after: str | None, limit: int, domains: frozenset[str] = frozenset()) -> list[Usage]:
        """Up to `limit` domains after that one, in the order of their names; no `domains` are all."""
        where = DomainUsage.domain != ""
        if after is not None:
            where &= DomainUsage.domain > after
        if domains:
            where &= DomainUsage.domain.in_(sorted(domains))
        query = DomainUsage.select().where(where).order_by(DomainUsage.domain).limit(limit).tuples()
        return self._database.read(
            lambda database: [
                Usage(domain, images, size, Quota(max_images, max_bytes))
                for domain, images, size, max_images, max_bytes in query.execute(database)
            ]
        )

    def total(self, domains: frozenset[str]) -> tuple[int, int, int]:
        """How many domains there are, and how many images and bytes in them; no `domains` are all."""
        sums = (peewee.fn.SUM(DomainUsage.images), peewee.fn.SUM(DomainUsage.bytes))
        query = DomainUsage.select(peewee.fn.COUNT(DomainUsage.domain), *sums)
        if domains:
            query = query.where(DomainUsage.domain.in_(sorted(domains)))
        ((count, images, size),) = self._database.read(
            lambda database: list(query.tuples().execute(database))
        )
        return int(count), int(images or 0), int(size or 0)

    def set_quota(self, domain: str, quota: Quota) -> None:
        """Give a domain a quota of its own; None in it falls back to the settings."""

        def work(database: Connection) -> None:
            note(database, "quota", domain=domain, detail=_said(quota))
            open_account(database, domain)
            update = DomainUsage.update(max_images=quota.max_images, max_bytes=quota.max_bytes)
            update.where(DomainUsage.domain == domain).execute(database)

        self._database.write(work)

    def domains(self) -> list[str]:
        """Every domain that has or had an image, in the order of their names."""
        used = ImageInfo.select(ImageInfo.domain).distinct().tuples()
        counted = DomainUsage.select(DomainUsage.domain).tuples()
        return self._database.read(
            lambda database: sorted(
                {name for query in (used, counted) for (name,) in query.execute(database)}
            )
        )

    def recount(self, domain: str) -> bool:
        """Count a domain's images anew; False if the usage was right. Its changes wait meanwhile.

        The row is locked first, and only then does the transaction look: a change that has not been
        committed by now waits for the row, and adds itself to the new number.
        """
        self._database.write(lambda database: open_account(database, domain))

        def work(database: Connection) -> bool:
            row = DomainUsage.select(DomainUsage.images, DomainUsage.bytes).where(
                DomainUsage.domain == domain
            )
            locked = row.for_update() if database.for_update else row
            noted = list(locked.tuples().execute(database))
            count = ImageInfo.select(peewee.fn.COUNT(ImageInfo.id), peewee.fn.SUM(ImageInfo.size))
            ((images, size),) = count.where(ImageInfo.domain == domain).tuples().execute(database)
            real = (int(images), int(size or 0))
            if noted == [real]:
                return False
            update = DomainUsage.update(images=real[0], bytes=real[1])
            update.where(DomainUsage.domain == domain).execute(database)
            return True

        return self._database.write(work)


def _said(quota: Quota) -> str:
    return f"max_images={quota.max_images} max_bytes={quota.max_bytes}"
