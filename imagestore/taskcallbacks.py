"""How the delivery of each task's result goes: a state of its own in the task's row.

A callback that waits always has a `callback_due`, when the sweeper sends a job for it; `claim` takes
each such job once.
"""

from collections.abc import Sequence
from datetime import timedelta

from imagestore import tasktally
from imagestore.database import Connection, Database
from imagestore.models import ImageTask, moment
from imagestore.taskrecords import Ended, Standing, TaskRecord
from imagestore.taskrows import TaskTable


class CallbackStates(TaskTable):
    """The callbacks' columns; a job is looked for again after `queued_for`."""

    def __init__(self, database: Database, *, queued_for: timedelta) -> None:
        super().__init__(database)
        self._queued_for = queued_for

    def due(self, limit: int) -> list[tuple[int, str]]:
        """Up to `limit` tasks whose callback is due: their ids and the URLs."""
        where = (ImageTask.callback_flag == "waiting") & (ImageTask.callback_due <= moment())
        query = ImageTask.select(ImageTask.id, ImageTask.callback).where(where)
        return [tuple(row) for row in self._all(query.order_by(ImageTask.callback_due).limit(limit).tuples())]

    def mark_queued(self, task_ids: Sequence[int]) -> None:
        """A job is in the queue for these, or will be in a moment."""
        where = ImageTask.id.in_(list(task_ids)) & (ImageTask.callback_flag == "waiting")
        self._update(where, callback_queued=True, callback_due=moment() + self._queued_for)

    def claim(self, task_id: int, lease_s: float) -> TaskRecord | None:
        """The task whose result is to be delivered now; None if that is not for us."""
        where = (ImageTask.id == task_id) & (ImageTask.callback_flag == "waiting") & ImageTask.callback_queued
        taken = self._update(
            where,
            callback_queued=False,
            callback_due=moment() + timedelta(seconds=lease_s),
            callback_attempts=ImageTask.callback_attempts + 1,
        )
        return self.by_id(task_id) if taken else None

    def delivered(self, task_id: int) -> None:
        """The receiver has it."""
        where = (ImageTask.id == task_id) & (ImageTask.callback_flag == "waiting")
        self._update(where, callback_flag="delivered", callback_due=None, callback_problem=None)

    def again(self, task_id: int, problem: str, delay_s: float) -> None:
        """It failed, and is tried again in `delay_s` seconds."""
        where = (ImageTask.id == task_id) & (ImageTask.callback_flag == "waiting")
        due = moment() + timedelta(seconds=delay_s)
        self._update(where, callback_due=due, callback_problem=problem[:64], callback_queued=False)

    def postponed(self, task_id: int, delay_s: float) -> None:
        """Nothing was tried; the attempt does not count."""
        where = (ImageTask.id == task_id) & (ImageTask.callback_flag == "waiting")
        due = moment() + timedelta(seconds=delay_s)
        self._update(where, callback_due=due, callback_attempts=ImageTask.callback_attempts - 1)

    def failed(self, task: TaskRecord, problem: str, ended: Ended) -> None:
        """It is given up. A task that had succeeded becomes a warning; other flags keep their reason."""
        waits = (ImageTask.id == task.id) & (ImageTask.callback_flag == "waiting")
        good = {"flag": ended.flag, "problem": ended.problem, "flag_ext": ended.flag_ext}
        warned = ImageTask.update(**good).where(waits & (ImageTask.flag == "succeed"))
        gone = {"callback_flag": "failed", "callback_problem": problem[:64], "callback_due": None}
        given_up = ImageTask.update(**gone, update_time=moment()).where(waits)

        def work(database: Connection) -> None:
            was_good = warned.execute(database)
            given_up.execute(database)
            if was_good:
                now = Standing.ended(task.domain, ended.flag, ended.problem)
                tasktally.move(database, Standing.ended(task.domain, "succeed", None), now)

        self._database.write(work)
