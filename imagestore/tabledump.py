"""All tables of the database as plain rows, out of one moment and into an empty database.

Rows are the same for SQLite, MariaDB and MySQL, so that a dump of one can be read into another.
`Catalog.prepare` makes the tables. Raises as `Catalog` does.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from itertools import islice
from typing import Any

from imagestore.database import Connection, Database
from imagestore.models import TABLES, TaskCount, UtcField
from imagestore.tasktally import count_anew

_ROWS_PER_PAGE = 200
_ROWS_PER_INSERT = 50
"""A row may hold 64 KiB of metadata, and a statement 16 MiB (MariaDB's max_allowed_packet)."""

Row = Mapping[str, Any]
"""Column -> a value that JSON knows; moments are text (ISO 8601, UTC)."""

_MODELS: Mapping[str, Any] = {model._meta.table_name: model for model in TABLES if model is not TaskCount}
"""What is not derived from the others."""

COLUMNS: Mapping[str, tuple[str, ...]] = {
    name: tuple(model._meta.sorted_field_names) for name, model in _MODELS.items()
}
"""Table -> its columns, as this version has them."""


class Tables:
    """The tables of one database."""

    def __init__(self, url: str, *, timeout_s: float = 2) -> None:
        self._database = Database(url, pool_size=2, timeout_s=timeout_s)

    def close(self) -> None:
        """Close all connections."""
        self._database.close()

    def read(self, take: Callable[[str, Iterator[Row]], object]) -> None:
        """Give `take` the rows of each table in turn, all as they were at one moment, however long it
        takes; others write meanwhile."""

        def work(database: Connection) -> None:
            for name, model in _MODELS.items():
                take(name, _rows(database, model))

        self._database.snapshot(work)

    def are_empty(self) -> bool:
        """Whether there is neither an image nor a task."""

        def work(database: Connection) -> bool:
            tables = (_MODELS["image_info"], _MODELS["image_task"])
            return not any(list(table.select().limit(1).execute(database)) for table in tables)

        return self._database.read(work)

    def fill(self, give: Callable[[str], Iterable[Row]]) -> None:
        """Write the rows that `give` has for each table, all of them or none."""

        def work(database: Connection) -> None:
            with database.atomic():
                for name, model in _MODELS.items():
                    # A new database has rows of its own in some tables, which the dump has too.
                    model.delete().execute(database)
                    rows = iter(give(name))
                    while some := list(islice(rows, _ROWS_PER_INSERT)):
                        model.insert_many([_values(model, row) for row in some]).execute(database)
                count_anew(database)

        self._database.alone(work)


def _rows(database: Connection, model: Any) -> Iterator[Row]:
    key = model._meta.primary_key
    query = model.select().order_by(key).limit(_ROWS_PER_PAGE)
    page = list(query.dicts().execute(database))
    while page:
        for row in page:
            yield {
                name: value.isoformat() if isinstance(value, datetime) else value
                for name, value in row.items()
            }
        page = list(query.where(key > page[-1][key.name]).dicts().execute(database))


def _plain(row: Mapping[str, Any]) -> Row:
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in row.items()}


def _values(model: Any, row: Row) -> dict[str, Any]:
    fields = model._meta.fields
    return {
        name: datetime.fromisoformat(value) if isinstance(fields[name], UtcField) and value else value
        for name, value in row.items()
    }
