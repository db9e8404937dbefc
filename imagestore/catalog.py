"""The catalog: what is known of each image, in MySQL, MariaDB or SQLite.

The database is the truth; caches and queues are repaired from it. Every method checks a connection
out of the pool for its own time, may be called from any thread, and raises DatabaseUnavailable
when the database does not answer in a few seconds, and InsufficientStorage when a write finds its
disk full.
"""

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from imagestore import cachedebts
from imagestore.bookkeeping import NoAccount, charge, enter, foresee, open_account, room
from imagestore.cachedebts import Debt
from imagestore.database import Connection, Database
from imagestore.errors import KeyConflict
from imagestore.imagerows import (
    BY_ID,
    BY_NAME,
    BY_SUM,
    INSERT,
    described,
    found,
    locked,
    of_domain,
    record_of,
    select_images,
    values_of,
)
from imagestore.imagesearch import SEARCHED_ROWS, ImagePage, ImageSearch
from imagestore.ledger import UNLIMITED, Action, Quota
from imagestore.migrations import MIGRATIONS, bring_up_to_date, still_to_apply
from imagestore.models import ImageInfo, create_tables, moment
from imagestore.records import Content, Facts, ImageRecord
from imagestore.statements import Selection, write_all

SCHEMA = Path(__file__).resolve().parent.parent / "db" / "schema.sql"


class Catalog:
    """The rows of `image_info`, and the debts to the cache.

    `url` is `sqlite:////absolute/path.db` or `mysql://user:password@host:port/database` (`mariadb`
    too; percent-encoded; the options ssl_ca, ssl_cert, ssl_key, ssl_disabled, ssl_verify_cert,
    ssl_verify_identity and unix_socket are passed on). At most `pool_size` connections are open,
    and a call waits up to `timeout_s` seconds for a free one. Nothing connects before the first call.
    `quota` holds in domains that have none of their own. Each change is noted in the audit log, in the
    name of `actor()`.

    Raises:
        ValueError: `url` is wrong; one line that never holds the password.
    """

    def __init__(
        self,
        url: str,
        *,
        pool_size: int = 16,
        timeout_s: float = 2,
        quota: Quota = UNLIMITED,
        schema: Path = SCHEMA,
        migrations: Path = MIGRATIONS,
    ) -> None:
        self._database = Database(url, pool_size=pool_size, timeout_s=timeout_s)
        self._quota = quota
        self._schema = schema
        self._migrations = migrations

    def prepare(self) -> None:
        """Create the tables, or change those of an older version; of many that do it at once, one does."""
        self._database.alone(lambda database: bring_up_to_date(database, self._migrations, self._create))

    def _create(self, database: Connection) -> None:
        if self._database.is_sqlite:
            create_tables(database)
        else:
            self._database.load(self._schema.read_text(encoding="utf-8"))

    def waiting_migrations(self) -> list[str] | None:
        """Changes of the tables that this version needs and the database has not had; None without tables."""
        return self._database.read(lambda database: still_to_apply(database, self._migrations))

    def check(self) -> None:
        """Ask the database for nothing.

        Raises:
            DatabaseUnavailable: it does not answer.
        """
        self._database.read(lambda database: database.execute_sql("SELECT 1").fetchone())

    def close(self) -> None:
        """Close all connections."""
        self._database.close()

    def write_statements(self) -> None:
        """Make the text of every statement now, here and of the tasks, so that forks of this process need
        not; nothing connects."""
        foresee(self._quota)
        self._database.describe(write_all)

    def after_fork(self) -> None:
        """Forget the parent's connections; to be called in the child before anything else."""
        self._database.after_fork()

    def insert(
        self,
        domain: str,
        dkey: str,
        content: Content,
        facts: Facts,
        image_metadata: Mapping[str, Any],
        user_metadata: Mapping[str, Any],
    ) -> ImageRecord:
        """A new row, at rev 1.

        Raises:
            KeyConflict: the name is taken.
            QuotaExceeded: the domain's quota is used up.
        """
        now = moment()
        record = ImageRecord(
            id=0,
            rev=1,
            domain=domain,
            dkey=dkey,
            **described(content, facts, image_metadata),
            user_metadata=user_metadata,
            create_time=now,
            update_time=now,
        )
        values = {column.name: value for column, value in values_of(record).items()}

        def work(database: Connection) -> ImageRecord:
            new = dataclasses.replace(record, id=INSERT.insert(database, **values, content_time=now))
            self._book(database, "create", None, new)
            return new

        try:
            return self._write(work)
        except KeyConflict as error:
            raise KeyConflict(f"{domain}/{dkey} already holds an image") from error

    def by_id(self, image_id: int) -> ImageRecord | None:
        """The row with that id (below 2**63)."""
        return self._first(BY_ID, id=image_id)

    def by_key(self, domain: str, dkey: str) -> ImageRecord | None:
        """The row of that name, byte for byte."""
        return self._first(BY_NAME, domain=domain, dkey=dkey)

    def by_sum(self, digest: str) -> ImageRecord | None:
        """The row that has held these bytes longest; 32 lower-case hex digits are an md5, 64 a sha256.

        Files with equal md5 and different bytes exist; then it is the one that was there first.
        """
        return self._first(BY_SUM[32 if len(digest) == 32 else 64], digest=digest)

    def page(self, after: int, limit: int) -> list[ImageRecord]:
        """Up to `limit` rows of all domains with an id above `after`, in the order of ids.

        The next page starts after the last id seen; 0 starts at the beginning. A row that is there
        all the time is seen once, whatever else comes or goes meanwhile.
        """
        return self._rows(ImageInfo.id > after, order=(ImageInfo.id,), limit=limit)

    def domain_page(self, domain: str, *, prefix: str, after: str | None, limit: int) -> list[ImageRecord]:
        """Up to `limit` rows of `domain` with a dkey that starts with `prefix` and comes after `after`.

        Prefix and order are those of the UTF-8 bytes, which is also the order of code points. The
        next page starts after the last dkey seen.
        """
        where, order = of_domain(domain, prefix, after, is_sqlite=self._database.is_sqlite)
        return self._rows(where, order=order, limit=limit)

    def search(self, search: ImageSearch, *, limit: int, rows: int = SEARCHED_ROWS) -> ImagePage:
        """Up to `limit` images of a search, ordered by dkey within a domain, else by id.

        A search for metadata reads at most `rows` rows. The next page is the search from `after` on.
        """
        return self._database.read(lambda database: found(database, search, limit=limit, rows=rows))

    def replace(
        self,
        image_id: int,
        content: Content,
        facts: Facts,
        image_metadata: Mapping[str, Any],
        *,
        user_metadata: Mapping[str, Any] | None = None,
        expected_rev: int | None = None,
        owe: bool = False,
    ) -> ImageRecord:
        """Give the row other bytes; `user_metadata=None` keeps the caller's object.

        `owe` notes in the same transaction that the cache must hear of it later (see `debts`).

        Raises:
            ImageNotFound: no such row.
            PreconditionFailed: the row is not at `expected_rev`.
            QuotaExceeded: the domain's quota has no room for larger bytes.
        """
        changes = described(content, facts, image_metadata)
        if user_metadata is not None:
            changes["user_metadata"] = user_metadata
        return self._change(image_id, changes, expected_rev, owe)

    def update_user_metadata(
        self,
        image_id: int,
        user_metadata: Mapping[str, Any],
        *,
        expected_rev: int | None = None,
        owe: bool = False,
    ) -> ImageRecord:
        """Replace the caller's own object; raises and owes as `replace` does."""
        return self._change(image_id, {"user_metadata": user_metadata}, expected_rev, owe)

    def delete(self, image_id: int, *, expected_rev: int | None = None, owe: bool = False) -> ImageRecord:
        """Remove the row and give it as it was; raises and owes as `replace` does, for rev + 1."""

        def work(database: Connection) -> ImageRecord:
            record = locked(database, image_id, expected_rev)
            ImageInfo.delete().where(ImageInfo.id == image_id).execute(database)
            if owe:
                cachedebts.note(database, image_id, record.rev + 1)
            self._book(database, "delete", record, None)
            return record

        return self._write(work)

    def before_upload(
        self, domain: str, dkey: str | None, content: Content
    ) -> tuple[ImageRecord | None, ImageRecord | None, bool]:
        """What an upload needs to know, at one checkout of a connection: the row of that name (`by_key`),
        one with the same bytes (`by_sum`), and whether the domain's quota has room for one image more."""

        def work(database: Connection) -> tuple[ImageRecord | None, ImageRecord | None, bool]:
            there = BY_NAME.rows(database, domain=domain, dkey=dkey) if dkey else []
            same = BY_SUM[64].rows(database, digest=content.sha256)
            fits = bool(there) or room(database, self._quota, domain, content.size)
            return (record_of(there[0]) if there else None), (record_of(same[0]) if same else None), fits

        return self._database.read(work)

    def count(self, domain: str) -> int:
        """How many images a domain has."""
        query = ImageInfo.select().where(ImageInfo.domain == domain)
        return int(self._database.read(query.count))

    def references(self, sha256: str) -> int:
        """How many rows need that original."""
        query = ImageInfo.select().where(ImageInfo.sha256 == sha256)
        return int(self._database.read(query.count))

    def debts(self, limit: int) -> list[Debt]:
        """Up to `limit` images whose cached record must be published again."""
        return self._database.read(lambda database: cachedebts.owed(database, limit))

    def settle(self, debt: Debt) -> None:
        """The record was read after `debt` was, and published. A newer change stays owed."""
        self._database.write(lambda database: cachedebts.settle(database, debt))

    def _change(
        self, image_id: int, changes: Mapping[str, Any], expected_rev: int | None, owe: bool
    ) -> ImageRecord:
        def work(database: Connection) -> ImageRecord:
            old = locked(database, image_id, expected_rev)
            new = dataclasses.replace(old, rev=old.rev + 1, update_time=moment(), **changes)
            values = values_of(new)
            if new.sha256 != old.sha256:
                values[ImageInfo.content_time] = new.update_time
            ImageInfo.update(values).where(ImageInfo.id == image_id).execute(database)
            if owe:
                cachedebts.note(database, image_id, new.rev)
            self._book(database, "edit" if new.sha256 == old.sha256 else "replace", old, new)
            return new

        return self._write(work)

    def _write(self, work: Callable[[Connection], ImageRecord]) -> ImageRecord:
        try:
            return self._database.write(work)
        except NoAccount as missing:
            domain = missing.domain
        self._database.write(lambda database: open_account(database, domain))
        return self._database.write(work)

    def _book(
        self, database: Connection, action: Action, old: ImageRecord | None, new: ImageRecord | None
    ) -> None:
        enter(database, action, old, new)
        charge(database, self._quota, old, new)

    def _first(self, selection: Selection, **values: Any) -> ImageRecord | None:
        rows = self._database.read(lambda database: selection.rows(database, **values))
        return record_of(rows[0]) if rows else None

    def _rows(self, where: Any, *, order: Iterable[Any], limit: int) -> list[ImageRecord]:
        query = select_images().where(where).order_by(*order).limit(limit)
        return self._database.read(lambda database: [record_of(row) for row in query.execute(database)])
