"""How images are written in rows of `image_info`; only the catalog uses this."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from peewee import fn

from imagestore.database import Connection, at
from imagestore.errors import ImageNotFound, PreconditionFailed
from imagestore.imagesearch import ImagePage, ImageSearch, MetadataWish
from imagestore.models import ImageInfo
from imagestore.records import Content, Facts, ImageRecord
from imagestore.statements import Selection, Statement, given, given_columns

_FIELDS = {getattr(ImageInfo, field.name): field.name for field in dataclasses.fields(ImageRecord)}
"""Column -> the record's field of the same name; `content_time` is the catalog's own business."""


def select_images() -> Any:
    """A query for rows that `record_of` understands."""
    return ImageInfo.select(*_FIELDS).dicts()


BY_ID = Selection(select_images().where(ImageInfo.id == given("id")))
BY_NAME = Selection(
    select_images().where((ImageInfo.domain == given("domain")) & (ImageInfo.dkey == given("dkey")))
)
BY_SUM = {
    length: Selection(
        select_images()
        .where(column == given("digest"))
        .order_by(ImageInfo.content_time, ImageInfo.id)
        .limit(1)
    )
    for length, column in ((32, ImageInfo.md5sum), (64, ImageInfo.sha256))
}
"""By the number of hex digits: the row that has held these bytes longest."""


def record_of(row: Mapping[str, Any]) -> ImageRecord:
    """A row as the value that travels."""
    return ImageRecord(**row)


def values_of(record: ImageRecord) -> dict[Any, Any]:
    """The columns of a record, but for its number and its content time."""
    return {column: getattr(record, name) for column, name in _FIELDS.items() if name != "id"}


INSERT = Statement(
    ImageInfo.insert(given_columns(*(c for c in _FIELDS if c.name != "id"), ImageInfo.content_time))
)
"""Of a record's columns, with its content time."""


def described(content: Content, facts: Facts, image_metadata: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that follow from the bytes."""
    return {
        "sha256": content.sha256,
        "md5sum": content.md5sum,
        "size": content.size,
        "format": facts.format,
        "width": facts.width,
        "height": facts.height,
        "image_metadata": image_metadata,
    }


def locked(database: Connection, image_id: int, expected_rev: int | None) -> ImageRecord:
    """The row, which nobody else can change before the transaction ends.

    SQLite has no FOR UPDATE and needs none: its transactions here start with the write lock.

    Raises:
        ImageNotFound: there is none.
        PreconditionFailed: it is not at `expected_rev`.
    """
    query = select_images().where(ImageInfo.id == image_id)
    rows = list((query.for_update() if database.for_update else query).execute(database))
    if not rows:
        raise ImageNotFound(f"there is no image {image_id}")
    record = record_of(rows[0])
    if expected_rev not in (None, record.rev):
        raise PreconditionFailed(f"image {image_id} is at revision {record.rev}, expected {expected_rev}")
    return record


def end_of_prefix(prefix: str) -> bytes:
    """The first bytes after all that start with `prefix`; no UTF-8 form ends in 0xff (RFC 3629 §1)."""
    form = prefix.encode()
    return form[:-1] + bytes([form[-1] + 1])


def found(database: Connection, search: ImageSearch, *, limit: int, rows: int) -> ImagePage:
    """Up to `limit` images of a search, ordered by dkey within a domain, else by id.

    With metadata at most `rows` rows are read, from where the search begins; there may be more behind them.
    """
    if search.digest is None:
        where, key, order = _range(search, is_sqlite=not database.for_update)
    else:
        where, key, order = _with_sum(search, search.digest)
    wish, last = search.metadata, None
    if wish is not None:
        ends = ImageInfo.select(key).where(where).order_by(*order).offset(rows - 1).limit(2)
        keys = [row[0] for row in ends.tuples().execute(database)]
        if len(keys) == 2:
            last = keys[0]
            where &= key <= last
        where &= _may_hold(wish)
    query = select_images().where(where).order_by(*order).limit(limit + 1)
    seen = [record_of(row) for row in query.execute(database)]
    if len(seen) > limit:
        seen.pop()
        last = seen[-1].id if search.domain is None else seen[-1].dkey
    fitting = [each for each in seen if wish is None or wish.fits(each.user_metadata)]
    return ImagePage(fitting, None if last is None else str(last))


def of_domain(domain: str, prefix: str, after: str | None, *, is_sqlite: bool) -> tuple[Any, tuple[Any, ...]]:
    """The rows of a domain whose dkey starts with `prefix` and comes after `after`, and their order."""
    where = _dkeys(at(ImageInfo.domain, domain, is_sqlite=is_sqlite), prefix, after)
    return where, (ImageInfo.domain, ImageInfo.dkey)


def _range(search: ImageSearch, *, is_sqlite: bool) -> tuple[Any, Any, tuple[Any, ...]]:
    """The condition, the column by which pages are cut, and the order: a range of one index, in its order."""
    if search.domain is None:
        return ImageInfo.id > int(search.after or 0), ImageInfo.id, (ImageInfo.id,)
    where, order = of_domain(search.domain, search.prefix, search.after, is_sqlite=is_sqlite)
    return where, ImageInfo.dkey, order


def _with_sum(search: ImageSearch, digest: str) -> tuple[Any, Any, tuple[Any, ...]]:
    """As `_range`, for the rows that have a sum, which are few: they are all read, and sorted.

    Expressions in the place of columns keep databases from walking through the other indexes, in
    which the rows are in order, and through a whole domain (SQLite did).
    """
    where = (ImageInfo.md5sum if len(digest) == 32 else ImageInfo.sha256) == digest
    if search.domain is None:
        number = ImageInfo.id + 0
        return where & (number > int(search.after or 0)), number, (number,)
    where &= fn.COALESCE(ImageInfo.domain, b"") == search.domain.encode()
    return _dkeys(where, search.prefix, search.after), ImageInfo.dkey, (ImageInfo.dkey,)


def _dkeys(where: Any, prefix: str, after: str | None) -> Any:
    if prefix:
        where &= (ImageInfo.dkey >= prefix) & (ImageInfo.dkey < end_of_prefix(prefix))
    return where if after is None else where & (ImageInfo.dkey > after)


def _may_hold(wish: MetadataWish) -> Any:
    """Rows whose metadata may fit; `INSTR` compares bytes here, but for the case of letters."""
    if wish.name is None:
        return fn.INSTR(fn.LOWER(ImageInfo.user_metadata), fn.LOWER(wish.needles[0])) > 0
    first, second = (fn.INSTR(ImageInfo.user_metadata, needle) > 0 for needle in wish.needles)
    return first | second
