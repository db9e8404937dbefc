"""A page of the tasks that a client asks for, which looks at its own rows alone, however many there are.

Each search is a few *runs*: neighbours in one index, in the order of ids. A page of the failed tasks of two
domains is made of two runs, one of a domain's tasks of four, one for each flag. Only where domain and
reason are asked for together tasks are passed over: those of other reasons, or of other domains.
Only the task catalog uses this.
"""

import heapq
from collections.abc import Collection, Iterator
from typing import Any

from imagestore.database import Connection, at
from imagestore.models import ImageTask
from imagestore.taskrecords import FLAGS, TaskSearch


def page(database: Connection, search: TaskSearch, limit: int) -> list[dict[str, Any]]:
    """Up to `limit` rows, in the order of ids."""
    runs = list(_runs(search))
    if len(runs) == 1:
        return list(_read(database, ImageTask.select(), runs[0], search, limit).dicts().execute(database))
    ids = numbers(database, search, limit)
    if not ids:
        return []
    order = ImageTask.id.desc() if search.newest else ImageTask.id
    return list(ImageTask.select().where(ImageTask.id.in_(ids)).order_by(order).dicts().execute(database))


def numbers(database: Connection, search: TaskSearch, limit: int) -> list[int]:
    """The ids of that page."""
    query = ImageTask.select(ImageTask.id).tuples()
    runs = [
        [number for (number,) in _read(database, query, run, search, limit).execute(database)]
        for run in _runs(search)
    ]
    return list(heapq.merge(*runs, reverse=search.newest))[:limit]


def _runs(search: TaskSearch) -> Iterator[dict[Any, str]]:
    """The first columns of an index, with the values that they have in all of a run."""
    flags: Collection[str | None] = [search.flag]
    if search.flag is None and (search.domains or search.problem):
        flags = FLAGS
    domains: Collection[str | None] = sorted(search.domains) if search.domains else [None]
    for domain in domains:
        for flag in flags:
            columns = {ImageTask.domain: domain, ImageTask.flag: flag}
            if domain is None:
                columns[ImageTask.problem] = search.problem
            yield {column: value for column, value in columns.items() if value is not None}


def _read(database: Connection, query: Any, run: dict[Any, str], search: TaskSearch, limit: int) -> Any:
    # One bound alone: of two, SQLite begins at the first that it is told.
    where = ImageTask.id > (search.after or 0)
    if search.newest and search.after is not None:
        where = ImageTask.id < search.after
    for column, value in run.items():
        where &= at(column, value, is_sqlite=not database.for_update)
    if search.problem is not None and ImageTask.problem not in run:
        where &= ImageTask.problem == search.problem
    order = [column.desc() if search.newest else column for column in (*run, ImageTask.id)]
    return query.where(where).order_by(*order).limit(limit)
