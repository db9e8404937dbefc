"""The tasks, in the same database as the images: the truth that the queue is repaired from.

A task with the flag `created` always has a `due_time`, and is in one of three states: it waits
(`queued_time` is NULL), a job for it is in the queue (`queued_time`), or a job works on it
(`claim`). Whatever happens to the job, `due_time` comes and the sweeper looks at it.
"""

import dataclasses
import secrets
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any

import peewee

from imagestore import taskpages, tasktally
from imagestore.database import Connection, Database
from imagestore.errors import KeyConflict, TaskNotFound
from imagestore.models import ImageTask, moment
from imagestore.taskcallbacks import CallbackStates
from imagestore.taskrecords import Again, Ended, Miscount, NewTask, Standing, TaskRecord, TaskSearch
from imagestore.taskrows import (
    BEAT,
    BY_ID,
    CLAIM,
    END,
    LAST_FETCH_NAMED,
    LAST_FETCH_UNNAMED,
    WISHED,
    TaskTable,
    cut,
    differing,
    ending,
    flag_ext,
    held,
    md5_of,
    new_values,
    record_of,
    remove_idle,
    start_over,
)
from imagestore.taskturns import Turns

QUEUED_LEASES = 1.5
"""A job may wait this many leases in the queue before the sweeper looks whether it is still there."""

_ROWS_PER_QUERY = 500
_RACES = 5


@dataclasses.dataclass(frozen=True, slots=True)
class Taken:
    """A line of a batch that is a task now, or was one already; `differing` names what a task that was there
    asks for otherwise."""

    line: int
    id: int
    url: str
    differing: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class OpenTasks:
    """Tasks of a kind that have not ended: how many, and for how many seconds the one that has waited
    longest should have had its turn."""

    kind: str
    count: int
    overdue_s: float


class TaskCatalog(TaskTable):
    """The rows of `image_task`; `Catalog.prepare` makes the table. Raises as `Catalog` does.

    A claim without a heartbeat for `lease_s` seconds belongs to a worker that is gone.
    """

    def __init__(self, url: str, *, lease_s: float = 20, pool_size: int = 4, timeout_s: float = 2) -> None:
        super().__init__(Database(url, pool_size=pool_size, timeout_s=timeout_s))
        self.lease_s = lease_s
        self._lease = timedelta(seconds=lease_s)
        self._queued_for = QUEUED_LEASES * self._lease
        self.turns = Turns(self._database, queued_for=self._queued_for)
        self.callbacks = CallbackStates(self._database, queued_for=self._queued_for)

    def close(self) -> None:
        """Close all connections."""
        self._database.close()

    # Tasks come.

    def insert(self, task: NewTask, *, queued: bool) -> TaskRecord:
        """A new task; `queued` if the caller sends a job for it at once."""
        values = self._new_row(task, moment(), queued)

        def work(database: Connection) -> int:
            number = int(ImageTask.insert(values).execute(database))
            tasktally.move(database, None, Standing.waiting(task.domain, task.kind))
            return number

        task_id = self._database.write(work)
        record = self.by_id(task_id)
        if record is None:
            raise missing(task_id)
        return record

    def insert_lines(
        self, batch: str, tasks: Mapping[int, NewTask], *, queued: bool
    ) -> tuple[list[Taken], list[int]]:
        """A task for each line of a batch, but for lines that have one already.

        Gives all of them in the order of lines, and the ids of those that are new. `batch` is 32
        characters that name the batch.
        """
        for _ in range(_RACES - 1):
            try:
                return self._insert_lines(batch, tasks, queued)
            except KeyConflict:
                # The same batch comes in twice at once; what the other one took is there now.
                continue
        return self._insert_lines(batch, tasks, queued)

    def _insert_lines(
        self, batch: str, tasks: Mapping[int, NewTask], queued: bool
    ) -> tuple[list[Taken], list[int]]:
        lines = sorted(tasks)
        of_batch = (ImageTask.batch == batch) & ImageTask.line.between(lines[0], lines[-1])
        select = ImageTask.select(ImageTask.line, ImageTask.id, ImageTask.url).where(of_batch).tuples()
        wishes = ImageTask.select(ImageTask.line, *WISHED).where(of_batch).dicts()

        def work(database: Connection) -> tuple[list[Taken], list[int]]:
            there = {
                row["line"]: differing(row, tasks[row["line"]])
                for row in wishes.clone().execute(database).iterator()
                if row["line"] in tasks
            }
            now = moment()
            rows = [
                {**self._new_row(tasks[line], now, queued), "batch": batch, "line": line}
                for line in lines
                if line not in there
            ]
            for start in range(0, len(rows), _ROWS_PER_QUERY // 10):
                ImageTask.insert_many(rows[start : start + _ROWS_PER_QUERY // 10]).execute(database)
            rows_there = sorted(select.clone().execute(database))
            taken = [
                Taken(line, task_id, url, there.get(line, ()))
                for line, task_id, url in rows_there
                if line in tasks
            ]
            tasktally.add(database, [(Standing.waiting(row["domain"], row["kind"]), 1) for row in rows])
            return taken, [one.id for one in taken if one.line not in there]

        return self._database.write(work)

    # Tasks are looked at.

    def page(self, search: TaskSearch, *, limit: int) -> list[TaskRecord]:
        """Up to `limit` tasks, in the order of ids, or the newest first. A task that is changed at the same
        moment may be shown as it is then, with another flag."""
        rows = self._database.read(lambda database: taskpages.page(database, search, limit))
        return [record_of(row) for row in rows]

    def counts(self, domains: Collection[str]) -> list[tuple[str, str | None, int]]:
        """Flag, problem (of tasks that ended) and number of tasks, for each pair that there is."""
        return self._database.read(lambda database: tasktally.counts(database, domains))

    def recount(self, *, repair: bool) -> list[Miscount]:
        """Count all tasks; gives what was counted otherwise, put right if it is to `repair`. Nobody waits."""
        return tasktally.recount(self._database, repair=repair)

    def open_tasks(self) -> list[OpenTasks]:
        """How many tasks of each kind have not ended, as they are counted."""

        def work(database: Connection) -> list[OpenTasks]:
            now = moment()
            found = []
            for kind, count in tasktally.waiting(database).items():
                first = ImageTask.select(peewee.fn.MIN(ImageTask.due_time))
                first = first.where((ImageTask.flag == "created") & (ImageTask.kind == kind))
                ((due,),) = first.tuples().execute(database)
                found.append(OpenTasks(kind, count, max(0.0, (now - due).total_seconds()) if due else 0.0))
            return found

        return self._database.read(work)

    def last_fetch(self, url: str, domain: str, dkey: str | None) -> TaskRecord | None:
        """The newest task that stored a picture from this URL under this name."""
        values = {"url_md5": md5_of(url), "url": url, "domain": domain}
        if dkey is None:
            return next(iter(self._selected(LAST_FETCH_UNNAMED, **values)), None)
        return next(iter(self._selected(LAST_FETCH_NAMED, **values, dkey=dkey)), None)

    # A job works on a task.

    def claim(self, task_id: int) -> tuple[TaskRecord, str] | None:
        """The task, and the word that proves that it is ours; None if it is not for us.

        Of all jobs that try, one gets it, and only once for each time that it was queued.
        """
        word = secrets.token_hex(8)
        now = moment()

        def work(database: Connection) -> list[dict[str, Any]]:
            due = now + self._lease
            taken = CLAIM.change(database, id=task_id, claim=word, due_time=due, update_time=now)
            return BY_ID.rows(database, id=task_id) if taken else []

        rows = self._database.write(work)
        return (record_of(rows[0]), word) if rows else None

    def beat(self, task_id: int, claim: str) -> bool:
        """The worker lives; False when the claim was lost."""
        return self._change(BEAT, held=task_id, its_claim=claim, due_time=moment() + self._lease) == 1

    def end(self, task: TaskRecord, claim: str, ended: Ended, duration_ms: int) -> bool:
        """The task has ended; False when the claim was lost."""
        now = moment()
        changes = {
            **ending(ended, now, has_callback=task.callback is not None),
            "image_id": ended.image_id,
            "sha256": ended.sha256 or task.sha256,
            "duration_ms": duration_ms,
            "final_url": ended.fetch.final_url,
            "etag": cut(ended.fetch.etag, 512),
            "last_modified": cut(ended.fetch.last_modified, 64),
        }

        def work(database: Connection) -> bool:
            if not END.change(database, held=task.id, its_claim=claim, **changes):
                return False
            ends = Standing.ended(task.domain, ended.flag, ended.problem)
            tasktally.move(database, Standing.waiting(task.domain, task.kind), ends)
            return True

        return self._database.write(work)

    def put_back(self, task_id: int, claim: str, again: Again, duration_ms: int) -> bool:
        """The task waits for its next attempt; False when the claim was lost."""
        now = moment()
        changes: dict[str, Any] = {"queued_time": None, "claim": None, "update_time": now}
        changes["due_time"] = now + timedelta(seconds=again.delay_s)
        if again.counts:
            changes |= {"problem": again.problem, "flag_ext": flag_ext(again), "duration_ms": duration_ms}
        else:
            changes["attempts"] = ImageTask.attempts - 1
        return self._update(held(task_id, claim), **changes) == 1

    def note_progress(self, task_id: int, claim: str, progress: Mapping[str, Any]) -> bool:
        """How far a task of many steps has come; False when the claim was lost."""
        return self._update(held(task_id, claim), progress=progress, update_time=moment()) == 1

    # People change their minds.

    def retry(self, task_id: int) -> bool:
        """Let a failed task start over; False if it has not failed."""
        return self._start_over([task_id]) == 1

    def retry_all(self, *, problem: str | None, domains: Collection[str], limit: int) -> int:
        """Up to `limit` failed tasks start over; how many did."""
        search = TaskSearch("failed", problem, domains)
        ids = self._database.read(lambda database: taskpages.numbers(database, search, limit))
        starts = range(0, len(ids), _ROWS_PER_QUERY)
        return sum(self._start_over(ids[start : start + _ROWS_PER_QUERY]) for start in starts)

    def remove_waiting(self, task_id: int) -> bool:
        """Remove a task that no job works on and that has not ended; False if there is none."""
        return self._database.write(lambda database: remove_idle(database, task_id))

    def _start_over(self, task_ids: list[int]) -> int:
        return self._database.write(lambda database: start_over(database, task_ids))

    def _new_row(self, task: NewTask, now: datetime, queued: bool) -> dict[str, Any]:
        row = {"queued_time": None, "due_time": now}
        if queued:
            row = {"queued_time": now, "due_time": now + self._queued_for}
        return {**new_values(task, now), **row}


def missing(task_id: int) -> TaskNotFound:
    """The error for a number that no task has."""
    return TaskNotFound(f"no task has id {task_id}")
