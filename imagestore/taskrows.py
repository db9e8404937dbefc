"""How tasks are written in rows of `image_task`; only the task catalog uses this."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from imagestore import tasktally
from imagestore.actor import actor
from imagestore.database import Connection, Database
from imagestore.models import ImageTask, moment
from imagestore.statements import Selection, Statement, given, given_columns
from imagestore.taskrecords import Again, Callback, Ended, Fetch, Flag, NewTask, Standing, TaskRecord

BY_ID = Selection(ImageTask.select().where(ImageTask.id == given("id")))

CLAIM = Statement(
    ImageTask.update(
        {
            **given_columns(ImageTask.claim, ImageTask.due_time, ImageTask.update_time),
            ImageTask.attempts: ImageTask.attempts + 1,
        }
    ).where(
        (ImageTask.id == given("id"))
        & (ImageTask.flag == "created")
        & ImageTask.claim.is_null()
        & ImageTask.queued_time.is_null(False)
    )
)


class TaskTable:
    """The table, with what all who change it have in common."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def by_id(self, task_id: int) -> TaskRecord | None:
        """The task with that number."""
        return next(iter(self._selected(BY_ID, id=task_id)), None)

    def _selected(self, selection: Selection, **values: Any) -> list[TaskRecord]:
        rows = self._database.read(lambda database: selection.rows(database, **values))
        return [record_of(row) for row in rows]

    def _change(self, statement: Statement, **values: Any) -> int:
        return self._database.write(lambda database: statement.change(database, **values))

    def _update(self, where: Any, **changes: Any) -> int:
        query = ImageTask.update(**changes).where(where)
        return int(self._database.write(lambda database: query.execute(database)))

    def _all(self, query: Any) -> list[Any]:
        return self._database.read(lambda database: list(query.execute(database)))


_SAME = tuple(
    field.name
    for field in dataclasses.fields(TaskRecord)
    if field.name not in ("fetch", "delivery", "overwrite")
)
"""Columns that the record has under the same name."""


def record_of(row: Mapping[str, Any]) -> TaskRecord:
    """A row as the value that travels."""
    flag = row["callback_flag"]
    return TaskRecord(
        **{name: row[name] for name in _SAME},
        overwrite=bool(row["overwrite"]),
        fetch=Fetch(row["final_url"], row["etag"], row["last_modified"]),
        delivery=Callback(flag, row["callback_attempts"], row["callback_problem"]) if flag else None,
    )


def new_values(task: NewTask, now: datetime) -> dict[str, Any]:
    """The columns of a new row, but for its state in the queue."""
    return {
        "kind": task.kind,
        "domain": task.domain,
        "dkey": task.dkey,
        "url": task.url,
        "url_md5": md5_of(task.url),
        "host": task.host,
        "page_url": task.page_url,
        "metadata": task.metadata or {},
        "overwrite": task.overwrite,
        "callback": task.callback,
        "sha256": task.sha256,
        "key_id": actor().key_id,
        "request_id": actor().request_id,
        "flag": "created",
        "attempts": 0,
        "deaths": 0,
        "progress": {},
        "callback_attempts": 0,
        "callback_queued": False,
        "create_time": now,
        "update_time": now,
    }


WISHED = (
    *(ImageTask.kind, ImageTask.domain, ImageTask.dkey, ImageTask.url, ImageTask.page_url),
    *(ImageTask.metadata, ImageTask.overwrite, ImageTask.callback, ImageTask.sha256),
)
"""What a client asks for; but for `sha256` no attempt changes any of it."""


def differing(row: Mapping[str, Any], task: NewTask) -> tuple[str, ...]:
    """The names of the columns of `WISHED` that a task asks for otherwise than a row.

    The content of a download is not asked for: its row has what an attempt found.
    """
    wish = new_values(task, moment())
    names = [column.name for column in WISHED]
    if task.sha256 is None:
        names.remove("sha256")
    return tuple(name for name in names if _plain(row[name]) != _plain(wish[name]))


def _plain(value: Any) -> str:
    """Python takes true for 1; as text they differ."""
    return json.dumps(value, sort_keys=True)


def ending(ended: Ended, now: datetime, *, has_callback: bool) -> dict[str, Any]:
    """The columns of a task that ends now, and whose callback, if it has one, waits."""
    flag: Flag = ended.flag
    return {
        "flag": flag,
        "problem": ended.problem,
        "flag_ext": ended.flag_ext,
        "claim": None,
        "queued_time": None,
        "due_time": None,
        "callback_flag": "waiting" if has_callback else None,
        "callback_due": now,
        "callback_attempts": 0,
        "callback_problem": None,
        "callback_queued": False,
        "update_time": now,
        "end_time": now,
    }


def start_over(database: Connection, task_ids: Sequence[int]) -> int:
    """Let those of the tasks that have failed be tried again; how many have."""
    rows = _locked(database, ImageTask.id.in_(task_ids) & (ImageTask.flag == "failed"))
    if rows:
        ids = [row["id"] for row in rows]
        ImageTask.update(**_as_new()).where(ImageTask.id.in_(ids)).execute(database)
        failed = [(Standing.ended(row["domain"], "failed", row["problem"]), -1) for row in rows]
        tasktally.add(
            database, [*failed, *((Standing.waiting(row["domain"], row["kind"]), 1) for row in rows)]
        )
    return len(rows)


def remove_idle(database: Connection, task_id: int) -> bool:
    """Remove a task that has not ended and that no job works on; False if there is none."""
    idle = (ImageTask.id == task_id) & (ImageTask.flag == "created") & ImageTask.claim.is_null()
    rows = _locked(database, idle)
    if rows:
        ImageTask.delete().where(ImageTask.id == task_id).execute(database)
        tasktally.move(database, Standing.waiting(rows[0]["domain"], rows[0]["kind"]), None)
    return bool(rows)


def _locked(database: Connection, where: Any) -> list[dict[str, Any]]:
    """Number, domain, kind and problem of rows that nobody else can change before the transaction ends."""
    columns = (ImageTask.id, ImageTask.domain, ImageTask.kind, ImageTask.problem)
    query = ImageTask.select(*columns).where(where).dicts()
    # SQLite has no FOR UPDATE and needs none: its transactions here start with the write lock.
    return list((query.for_update() if database.for_update else query).execute(database))


def _as_new() -> dict[str, Any]:
    """The columns of a failed task that is to be tried again."""
    now = moment()
    changes: dict[str, Any] = {"flag": "created", "attempts": 0, "deaths": 0, "due_time": now}
    changes |= {"claim": None, "queued_time": None, "callback_flag": None, "callback_due": None}
    return changes | {"update_time": now, "end_time": None}


def held(task_id: Any, claim: Any) -> Any:
    """The row, as long as the claim on it holds."""
    return (ImageTask.id == task_id) & (ImageTask.claim == claim) & (ImageTask.flag == "created")


def _while_held(*columns: Any) -> Statement:
    """Change these columns of a task as long as the claim on it holds: `held` and `its_claim` name it."""
    where = held(given("held"), given("its_claim"))
    return Statement(ImageTask.update(given_columns(*columns)).where(where))


BEAT = _while_held(ImageTask.due_time)
END = _while_held(
    *(ImageTask.flag, ImageTask.problem, ImageTask.flag_ext, ImageTask.claim),
    *(ImageTask.queued_time, ImageTask.due_time, ImageTask.callback_flag, ImageTask.callback_due),
    *(ImageTask.callback_attempts, ImageTask.callback_problem, ImageTask.callback_queued),
    *(ImageTask.update_time, ImageTask.end_time, ImageTask.image_id, ImageTask.sha256),
    *(ImageTask.duration_ms, ImageTask.final_url, ImageTask.etag, ImageTask.last_modified),
)


def _last_fetch(name: Any) -> Selection:
    where = (ImageTask.url_md5 == given("url_md5")) & (ImageTask.url == given("url"))
    where &= (ImageTask.domain == given("domain")) & name
    where &= ImageTask.flag.in_(["succeed", "warning"]) & ImageTask.image_id.is_null(False)
    return Selection(ImageTask.select().where(where).order_by(ImageTask.id.desc()).limit(1))


LAST_FETCH_NAMED = _last_fetch(ImageTask.dkey == given("dkey"))
LAST_FETCH_UNNAMED = _last_fetch(ImageTask.dkey.is_null())
"""The newest task that stored a picture from a URL under a name, or under one made from its hash."""


def flag_ext(again: Again) -> str | None:
    """Why the last try did not end the task."""
    return f"{again.problem}: {again.sentence[:500]}" if again.problem else None


def cut(text: str | None, length: int) -> str | None:
    """An entity tag that was cut would never match again."""
    return text if text is not None and len(text) <= length else None


def md5_of(url: str) -> str:
    """The form of a URL that an index can hold."""
    return hashlib.md5(url.encode(), usedforsecurity=False).hexdigest()
