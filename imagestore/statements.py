"""SQL whose text is made once, for what every request and every job asks.

Peewee walks a query to its last node each time that it runs: the six of an upload took 2.5 ms of
processor time, half of all that an upload of stored bytes costs (SQLite, 2026-11). Here only the
values go their way again. Only the catalogs use this module.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import peewee

from imagestore.database import Connection


@dataclass(frozen=True, slots=True)
class _Place:
    """Among the parameters of a text: the value that is given under a name, and how it is written."""

    name: str
    converter: Callable[[Any], Any] | None

    def of(self, values: dict[str, Any]) -> Any:
        value = values[self.name]
        return self.converter(value) if self.converter else value


class _Given(peewee.Value):
    def __init__(self, name: str, column: Any) -> None:
        super().__init__(None, converter=False, unpack=False)
        self._name = name
        self._column = column

    def __sql__(self, ctx: Any) -> Any:
        converter = self._column.db_value if self._column is not None else ctx.state.converter
        return ctx.value(_Place(self._name, converter), False)


def given(name: str, column: Any = None) -> Any:
    """What stands in a query for a value that each run says anew: never None in a comparison.

    Beside a column in an expression it is written as the column's values are; with a `column` as its.
    """
    return _Given(name, column)


def given_columns(*columns: Any) -> dict[Any, Any]:
    """For an insert or an update: each column is given under its own name."""
    return {column: given(column.name, column) for column in columns}


_all: list["Statement"] = []


def write_all(database: Connection) -> None:
    """Make the texts of all statements for this kind of database now, so that forks have them."""
    for statement in _all:
        statement.write(database)


class Statement:
    """An insert, an update or a delete with `given` values; safe for threads and for forks."""

    def __init__(self, query: Any) -> None:
        self._query = query
        self._texts: dict[type, tuple[str, list[Any]]] = {}
        _all.append(self)

    def run(self, database: Connection, **values: Any) -> Any:
        """Run it with a value for each name; gives the cursor."""
        text, parameters = self._texts.get(type(database)) or self.write(database)
        filled = [one.of(values) if isinstance(one, _Place) else one for one in parameters]
        return database.execute_sql(text, filled)

    def insert(self, database: Connection, **values: Any) -> int:
        """Run an insert; gives the number of the new row."""
        return int(database.last_insert_id(self.run(database, **values)))

    def change(self, database: Connection, **values: Any) -> int:
        """Run an update or a delete; gives how many rows it met."""
        return int(database.rows_affected(self.run(database, **values)))

    def write(self, database: Connection) -> tuple[str, list[Any]]:
        """Make its text, with its parameters; nothing connects."""
        # Of threads that do it at once each makes the same.
        made: tuple[str, list[Any]] = database.get_sql_context().sql(self._query).query()
        self._texts[type(database)] = made
        return made


class Selection(Statement):
    """A select of plain columns of one table."""

    def __init__(self, query: Any) -> None:
        super().__init__(query)
        self._columns = [(column.name, column.python_value) for column in query.selected_columns]

    def rows(self, database: Connection, **values: Any) -> list[dict[str, Any]]:
        """All rows that it finds, with the names of the columns."""
        found = self.run(database, **values).fetchall()
        return [
            {name: value_of(raw) for (name, value_of), raw in zip(self._columns, row, strict=True)}
            for row in found
        ]
