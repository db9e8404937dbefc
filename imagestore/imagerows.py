"""How images are written in rows of `image_info`; only the catalog uses this."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from imagestore.database import Connection
from imagestore.errors import ImageNotFound, PreconditionFailed
from imagestore.models import CacheDebt, ImageInfo, moment
from imagestore.records import Content, Facts, ImageRecord

_FIELDS = {getattr(ImageInfo, field.name): field.name for field in dataclasses.fields(ImageRecord)}
"""Column -> the record's field of the same name; `content_time` is the catalog's own business."""


def select_images() -> Any:
    """A query for rows that `record_of` understands."""
    return ImageInfo.select(*_FIELDS).dicts()


def record_of(row: Mapping[str, Any]) -> ImageRecord:
    """A row as the value that travels."""
    return ImageRecord(**row)


def values_of(record: ImageRecord) -> dict[Any, Any]:
    """The columns of a record, but for its number and its content time."""
    return {column: getattr(record, name) for column, name in _FIELDS.items() if name != "id"}


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


def note_debt(database: Connection, image_id: int, rev: int) -> None:
    """The cache must hear of that change later."""
    debt = CacheDebt.insert(image_id=image_id, rev=rev, create_time=moment())
    debt.on_conflict("REPLACE").execute(database)


def end_of_prefix(prefix: str) -> bytes:
    """The first bytes after all that start with `prefix`; no UTF-8 form ends in 0xff (RFC 3629 §1)."""
    form = prefix.encode()
    return form[:-1] + bytes([form[-1] + 1])
