"""What the database says of the store of originals: which ones are needed, and by what. For upkeep.

In the same database as the images; `Catalog.prepare` makes its tables. Raises as `Catalog` does.
"""

import heapq
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from peewee import fn

from imagestore.database import Connection, Database
from imagestore.models import AuditLog, ImageInfo, ImageTask, UpkeepNote

_IDENTITY = "identity"
_SUMS_PER_QUERY = 500
_ROWS_PER_PAGE = 1000

_WAITING = (ImageTask.kind == "upload") & (ImageTask.flag == "created") & ImageTask.sha256.is_null(False)
"""Uploads that a worker has yet to look at; their bytes are in the store."""


@dataclass(frozen=True, slots=True)
class Needed:
    """An original that must be in the store. `size` in bytes is None when only a waiting upload needs
    it; `images` rows have it, the first of them with the id `image_id`."""

    sha256: str
    size: int | None
    images: int = 0
    image_id: int | None = None


@dataclass(frozen=True, slots=True)
class Origin:
    """A picture's name and the URL that it was downloaded from."""

    domain: str
    dkey: str
    url: str
    host: str


class Inventory:
    """The needs of all rows; reads pages by key, so that memory is constant and nothing is locked."""

    def __init__(self, url: str, *, pool_size: int = 4, timeout_s: float = 2) -> None:
        self._database = Database(url, pool_size=pool_size, timeout_s=timeout_s)

    def close(self) -> None:
        """Close all connections."""
        self._database.close()

    def originals(self, after: str = "") -> Iterator[Needed]:
        """Every original with a hash above `after` that a row needs, in the order of hashes.

        One whose row comes or goes meanwhile may be missed or still be seen.
        """
        return merged(self._pages(contents_after, after), self._pages(waiting_after, after))

    def count(self) -> int:
        """How many images there are; more than there are originals, if some share one."""
        return int(self._database.read(ImageInfo.select().count))

    def is_blank(self) -> bool:
        """Whether the database has no image and has never noted that one came or went."""

        def work(database: Connection) -> bool:
            return not any(
                list(table.select(table.id).limit(1).execute(database)) for table in (ImageInfo, AuditLog)
            )

        return self._database.read(work)

    def identity(self) -> str:
        """The name of this database: random, made when somebody first asks, and kept in dumps of it."""
        row = UpkeepNote.insert(
            name=_IDENTITY, note={"id": secrets.token_hex(16)}, update_time=datetime.now(UTC)
        )
        if not self.known_identity():
            self._database.write(lambda database: row.on_conflict_ignore().execute(database))
        return self.known_identity() or ""

    def known_identity(self) -> str | None:
        """The same, if somebody has asked before."""
        known: str | None = self.note(_IDENTITY).get("id")
        return known

    def needed(self, sha256s: Sequence[str]) -> set[str]:
        """Which of these originals any row or waiting upload needs, as committed now."""
        found: set[str] = set()
        for start in range(0, len(sha256s), _SUMS_PER_QUERY):
            some = list(sha256s[start : start + _SUMS_PER_QUERY])
            # In this order: an upload's task ends after its row is there. Expressions in the place of columns
            # keep SQLite from going through all uploads that wait.
            waits = (fn.COALESCE(ImageTask.flag, "") == "created") & (
                fn.COALESCE(ImageTask.kind, "") == "upload"
            )
            tasks = ImageTask.select(ImageTask.sha256).where(ImageTask.sha256.in_(some) & waits)
            rows = ImageInfo.select(ImageInfo.sha256).where(ImageInfo.sha256.in_(some))
            for query in (tasks, rows):
                found.update(sha256 for (sha256,) in self._all(query.distinct().tuples()))
        return found

    def origin(self, sha256: str) -> Origin | None:
        """Where a picture with these bytes was downloaded from last, if its name has them still."""
        same = (ImageInfo.id == ImageTask.image_id) & (ImageInfo.sha256 == sha256)
        query = ImageTask.select(ImageInfo.domain, ImageInfo.dkey, ImageTask.url, ImageTask.host)
        query = query.join(ImageInfo, on=same).where(
            (ImageTask.sha256 == sha256)
            & (ImageTask.kind == "download")
            & ImageTask.flag.in_(["succeed", "warning"])
        )
        rows = self._all(query.order_by(ImageTask.id.desc()).limit(1).tuples())
        return Origin(*rows[0]) if rows else None

    def note(self, name: str) -> Mapping[str, Any]:
        """What was noted under that name; nothing at first."""
        query = UpkeepNote.select(UpkeepNote.note).where(UpkeepNote.name == name).tuples()
        rows = self._all(query)
        return dict(rows[0][0]) if rows else {}

    def keep_note(self, name: str, note: Mapping[str, Any]) -> None:
        """Note it in the place of what was there."""
        row = UpkeepNote.insert(name=name, note=note, update_time=datetime.now(UTC))
        self._database.write(lambda database: row.on_conflict("REPLACE").execute(database))

    def _pages(self, page: Callable[..., list[Needed]], after: str) -> Iterator[Needed]:
        while found := self._database.read(partial(page, after=after, limit=_ROWS_PER_PAGE)):
            yield from found
            after = found[-1].sha256

    def _all(self, query: Any) -> list[Any]:
        return self._database.read(lambda database: list(query.execute(database)))


def contents_after(database: Connection, after: str, limit: int) -> list[Needed]:
    """The next originals that images have."""
    query = (
        ImageInfo.select(
            ImageInfo.sha256,
            fn.MIN(ImageInfo.size),
            fn.COUNT(ImageInfo.id),
            fn.MIN(ImageInfo.id),
        )
        .where(ImageInfo.sha256 > after)
        .group_by(ImageInfo.sha256)
        .order_by(ImageInfo.sha256)
        .limit(limit)
    )
    return [Needed(*row) for row in query.tuples().execute(database)]


def waiting_after(database: Connection, after: str, limit: int) -> list[Needed]:
    """The next originals that uploads wait with."""
    query = ImageTask.select(ImageTask.sha256).where((ImageTask.sha256 > after) & _WAITING).distinct()
    rows = query.order_by(ImageTask.sha256).limit(limit).tuples().execute(database)
    return [Needed(sha256, None) for (sha256,) in rows]


def merged(contents: Iterator[Needed], waiting: Iterator[Needed]) -> Iterator[Needed]:
    """Both in the order of hashes, each original once: as images say it, where they do."""
    last = ""
    for one in heapq.merge(contents, waiting, key=lambda needed: (needed.sha256, needed.size is None)):
        if one.sha256 != last:
            yield one
        last = one.sha256
