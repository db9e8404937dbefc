"""Whose turn it is: the tasks that wait for a job, and those whose job or worker may be gone.

For the sweeper, which looks at tasks whose `due_time` has come and at no others.
"""

from collections.abc import Collection, Sequence
from datetime import timedelta

import peewee

from imagestore import tasktally
from imagestore.database import Connection, Database
from imagestore.models import ImageTask, moment
from imagestore.taskrecords import Due, Ended, Kind, Standing
from imagestore.taskrows import TaskTable, ending, held
from imagestore.tasktally import waiting


class Turns(TaskTable):
    """The tasks' columns for the queue; a job is looked for again after `queued_for`."""

    def __init__(self, database: Database, *, queued_for: timedelta) -> None:
        super().__init__(database)
        self._queued_for = queued_for

    def due(self, kind: Kind, limit: int, *, without_hosts: Collection[str] = ()) -> list[Due]:
        """Up to `limit` tasks of a kind whose time has come, the longest overdue first."""
        where = (ImageTask.flag == "created") & (ImageTask.kind == kind) & (ImageTask.due_time <= moment())
        if without_hosts:
            # What has a job already must be looked at, whatever its host.
            where &= ImageTask.host.not_in(list(without_hosts)) | ImageTask.queued_time.is_null(False)
        columns = (ImageTask.id, ImageTask.kind, ImageTask.domain, ImageTask.host, ImageTask.queued_time)
        query = ImageTask.select(*columns, ImageTask.claim, ImageTask.deaths).where(where)
        rows = self._all(query.order_by(ImageTask.due_time, ImageTask.id).limit(limit).tuples())
        return [
            Due(id, kind, domain, host, queued is not None, claim, deaths)
            for id, kind, domain, host, queued, claim, deaths in rows
        ]

    def busy_hosts(self) -> dict[str, int]:
        """How many tasks of each host are queued or worked on."""
        in_flight = (ImageTask.flag == "created") & ImageTask.queued_time.is_null(False)
        query = ImageTask.select(ImageTask.host, peewee.fn.COUNT(ImageTask.id)).where(in_flight)
        return {host: int(count) for host, count in self._all(query.group_by(ImageTask.host).tuples())}

    def mark_queued(self, task_ids: Sequence[int]) -> None:
        """A job is in the queue for these tasks, or will be in a moment; a claim is left alone."""
        now = moment()
        where = ImageTask.id.in_(list(task_ids)) & (ImageTask.flag == "created") & ImageTask.claim.is_null()
        self._update(where, queued_time=now, due_time=now + self._queued_for)

    def release(self, due: Due) -> bool:
        """Take a dead worker's claim away, so that the task waits again; False if it is not as seen."""
        where = held(due.id, due.claim or "") & (ImageTask.due_time <= moment())
        now = moment()
        changes = {"claim": None, "queued_time": None, "deaths": due.deaths + 1}
        return self._update(where, **changes, due_time=now, update_time=now) == 1

    def end_dead(self, due: Due, ended: Ended) -> bool:
        """The same, but the task ends."""
        where = held(due.id, due.claim or "") & (ImageTask.due_time <= moment())
        has_callback = peewee.Case(None, [(ImageTask.callback.is_null(), None)], "waiting")
        changes = ending(ended, moment(), has_callback=True) | {"callback_flag": has_callback}
        dead = ImageTask.update(**changes, deaths=due.deaths + 1).where(where)

        def work(database: Connection) -> bool:
            if not dead.execute(database):
                return False
            ends = Standing.of(due.domain, ended.flag, ended.problem)
            tasktally.move(database, waiting(due.domain), ends)
            return True

        return self._database.write(work)
