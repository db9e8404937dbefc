"""Whose turn it is: the tasks that wait for a job, and those whose job or worker may be gone.

For the sweeper, which looks at tasks whose `due_time` has come and at no others.
"""

from collections.abc import Collection, Iterator, Sequence
from datetime import timedelta
from typing import Any

import peewee

from imagestore import tasktally
from imagestore.database import Connection, Database
from imagestore.models import ImageTask, moment
from imagestore.taskrecords import Due, Ended, Kind, Standing
from imagestore.taskrows import TaskTable, ending, held

_HOSTS_AT_ONCE = 50
_TASKS_OF_A_HOST = 10


class Turns(TaskTable):
    """The tasks' columns for the queue; a job is looked for again after `queued_for`."""

    def __init__(self, database: Database, *, queued_for: timedelta) -> None:
        super().__init__(database)
        self._queued_for = queued_for
        self._last_host = ""

    def due(self, kind: Kind, limit: int, *, without_hosts: Collection[str] = ()) -> list[Due]:
        """Up to `limit` tasks of a kind whose time has come, the longest overdue first.

        Of `without_hosts` those alone that have a job already, which must be looked at whatever their host.
        Where such hosts have all that is longest overdue, a few tasks of others come behind, host by host:
        nobody goes through a million tasks of one slow host.
        """
        where = (ImageTask.flag == "created") & (ImageTask.kind == kind) & (ImageTask.due_time <= moment())
        window = limit * (2 if without_hosts else 1)
        rows = self._dues(where, (ImageTask.due_time, ImageTask.id), window)
        found = [one for one in rows if one.queued or one.host not in without_hosts]
        if len(rows) < window or len(found) >= limit:
            return found[:limit]
        there = {one.id for one in found}
        others = [one for one in self._of_others(kind, without_hosts) if one.id not in there]
        return (found + others)[:limit]

    def _of_others(self, kind: Kind, without_hosts: Collection[str]) -> Iterator[Due]:
        """Tasks that wait for hosts but these: of some hosts each time, in a circle."""
        waits = (ImageTask.flag == "created") & ImageTask.queued_time.is_null()
        # Expressions in the place of columns keep databases from the index over kind and due_time.
        waits &= peewee.fn.COALESCE(ImageTask.kind, "") == kind
        waits &= peewee.fn.COALESCE(ImageTask.due_time, "") <= ImageTask.due_time.db_value(moment())
        order = (ImageTask.flag, ImageTask.queued_time, ImageTask.host, ImageTask.id)
        for host in self._next_hosts():
            if host not in without_hosts:
                yield from self._dues(waits & (ImageTask.host == host), order, _TASKS_OF_A_HOST)

    def _next_hosts(self) -> Iterator[str]:
        """Hosts that tasks wait for, each by one look into an index, past all tasks of the one before."""
        waits = (ImageTask.flag == "created") & ImageTask.queued_time.is_null()
        for _ in range(_HOSTS_AT_ONCE):
            query = ImageTask.select(peewee.fn.MIN(ImageTask.host))
            ((host,),) = self._all(query.where(waits & (ImageTask.host > self._last_host)).tuples())
            self._last_host = host or ""
            if host is None:
                return
            yield host

    def _dues(self, where: Any, order: Sequence[Any], limit: int) -> list[Due]:
        columns = (ImageTask.id, ImageTask.kind, ImageTask.domain, ImageTask.host, ImageTask.queued_time)
        query = ImageTask.select(*columns, ImageTask.claim, ImageTask.deaths).where(where)
        return [
            Due(id, kind, domain, host, queued is not None, claim, deaths)
            for id, kind, domain, host, queued, claim, deaths in self._all(
                query.order_by(*order).limit(limit).tuples()
            )
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
            ends = Standing.ended(due.domain, ended.flag, ended.problem)
            tasktally.move(database, Standing.waiting(due.domain, due.kind), ends)
            return True

        return self._database.write(work)
