"""How many tasks there are of each domain, flag and reason, kept with every change of a task.

A change adds to a few rows of `task_count` in its own transaction, as its last statement, so that they
are locked no longer than a commit takes, and always in one order, so that nobody waits in a circle.
The numbers of a task's standing are spread over `SHARDS` rows, of which each change takes one by chance:
32 connections that end tasks of one domain would wait for each other (127 tasks a second with one row,
476 with eight, 397 uncounted; MariaDB 10.11 on a machine at load 20, 2026-11). A sum of them is exact.

Only the task catalogs use this; `Catalog.prepare` makes the table.
"""

import random
from collections import Counter
from collections.abc import Collection, Iterable

import peewee

from imagestore.database import Connection, Database
from imagestore.models import ImageTask, TaskCount, UpkeepNote, moment
from imagestore.taskrecords import Miscount, Standing

SHARDS = 8

_MOVES_PER_STATEMENT = 100
_NOTE = "task count"


def move(database: Connection, old: Standing | None, new: Standing | None) -> None:
    """Count a task that came (no `old`), went (no `new`) or stands elsewhere now."""
    add(database, [(one, by) for one, by in ((old, -1), (new, 1)) if one])


def add(database: Connection, changes: Iterable[tuple[Standing, int]]) -> None:
    """Count so many tasks more of each standing; the last thing that a transaction does."""
    totals: Counter[Standing] = Counter()
    for standing, tasks in changes:
        totals[standing] += tasks
    shard = random.randrange(SHARDS)  # noqa: S311 - nothing is secret here
    rows = [(one.domain.encode(), one.flag, one.reason, shard, totals[one]) for one in sorted(totals)]
    rows = [row for row in rows if row[-1]]
    for start in range(0, len(rows), _MOVES_PER_STATEMENT):
        some = rows[start : start + _MOVES_PER_STATEMENT]
        database.execute_sql(_text(database, len(some)), [value for row in some for value in row])


def _text(database: Connection, rows: int) -> str:
    # Peewee has no form of this that both databases take.
    values = ", ".join([f"({', '.join([database.param] * 5)})"] * rows)
    if database.for_update:
        otherwise = "ON DUPLICATE KEY UPDATE tasks = tasks + VALUES(tasks)"
    else:
        otherwise = "ON CONFLICT (domain, flag, reason, shard) DO UPDATE SET tasks = tasks + excluded.tasks"
    into = "INSERT INTO task_count (domain, flag, reason, shard, tasks)"
    return f"{into} VALUES {values} {otherwise}"


def counts(database: Connection, domains: Collection[str]) -> list[tuple[str, str | None, int]]:
    """Flag, problem (of tasks that ended) and number of tasks, for each pair that there is; no `domains`
    are all."""
    number = peewee.fn.SUM(TaskCount.tasks)
    query = TaskCount.select(TaskCount.flag, TaskCount.reason, number)
    if domains:
        query = query.where(TaskCount.domain.in_(sorted(domains)))
    found: Counter[tuple[str, str | None]] = Counter()
    for flag, reason, tasks in query.group_by(TaskCount.flag, TaskCount.reason).tuples().execute(database):
        found[(flag, None if flag == "created" else reason or None)] += int(tasks)
    # Below zero only beside servers of a version that does not count.
    return [(*pair, tasks) for pair, tasks in found.items() if tasks > 0]


def waiting(database: Connection) -> dict[str, int]:
    """How many tasks of each kind have not ended."""
    query = TaskCount.select(TaskCount.reason, peewee.fn.SUM(TaskCount.tasks))
    query = query.where(TaskCount.flag == "created").group_by(TaskCount.reason).tuples()
    return {kind: int(tasks) for kind, tasks in query.execute(database) if tasks > 0}


def recount(database: Database, *, repair: bool) -> list[Miscount]:
    """Count all tasks; gives what was noted otherwise, and puts that right if it is to `repair`.

    Nobody waits for it: notes and tasks are seen as they were at one moment, and what differed then is
    added, whatever has been added since.
    """
    wrong, repairs = database.snapshot(lambda connection: (_miscounts(connection), _repairs(connection)))
    missing = [(one.standing, one.real - one.noted) for one in wrong]

    def mend(connection: Connection) -> bool:
        if not _is_next(connection, repairs):
            return False
        add(connection, missing)
        return True

    if wrong and repair and not database.write(mend):
        # Somebody else has mended the same meanwhile.
        return recount(database, repair=repair)
    return wrong


def _repairs(database: Connection) -> int:
    rows = UpkeepNote.select(UpkeepNote.note).where(UpkeepNote.name == _NOTE).tuples().execute(database)
    return next((int(note["repairs"]) for (note,) in rows), 0)


def _is_next(database: Connection, repairs: int) -> bool:
    """Note one repair more; False if there have not been so many before."""
    first = UpkeepNote.insert(name=_NOTE, note={"repairs": 0}, update_time=moment())
    first.on_conflict_ignore().execute(database)
    update = UpkeepNote.update(note={"repairs": repairs + 1}, update_time=moment())
    seen = (UpkeepNote.name == _NOTE) & (UpkeepNote.note == {"repairs": repairs})
    return bool(update.where(seen).execute(database))


def count_anew(database: Connection) -> None:
    """Note what there is in the place of what was noted; within a transaction that nobody writes beside."""
    TaskCount.delete().execute(database)
    add(database, _real(database).items())


def _miscounts(database: Connection) -> list[Miscount]:
    columns = (TaskCount.domain, TaskCount.flag, TaskCount.reason)
    query = TaskCount.select(*columns, peewee.fn.SUM(TaskCount.tasks)).group_by(*columns).tuples()
    noted = {Standing(*row[:3]): int(row[3]) for row in query.execute(database)}
    real = _real(database)
    return [
        Miscount(one, noted.get(one, 0), real[one])
        for one in sorted(noted.keys() | real.keys())
        if noted.get(one, 0) != real[one]
    ]


def _real(database: Connection) -> Counter[Standing]:
    columns = (ImageTask.domain, ImageTask.flag, ImageTask.problem, ImageTask.kind)
    query = ImageTask.select(*columns, peewee.fn.COUNT(ImageTask.id)).group_by(*columns).tuples()
    found: Counter[Standing] = Counter()
    for domain, flag, problem, kind, tasks in query.execute(database):
        is_open = flag == "created"
        one = Standing.waiting(domain, kind) if is_open else Standing.ended(domain, flag, problem)
        found[one] += int(tasks)
    return found
