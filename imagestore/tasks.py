"""Tasks as people see them: handed in, looked at, retried, withdrawn.

A task is a row before it is a job, so that 202 means that it will end, whatever happens to the queue.
"""

import hashlib
import logging
from collections.abc import Collection, Iterable, Mapping

from imagestore.errors import QueueUnavailable, TaskConflict
from imagestore.jobqueue import DOWNLOADS, PICTURES, RENDER, WORK, Job, JobQueue
from imagestore.presets import Presets
from imagestore.probe import sniff
from imagestore.records import ImageRecord, Spooled
from imagestore.storage import Storage
from imagestore.taskcatalog import Taken, TaskCatalog, missing
from imagestore.taskrecords import FLAGS, NewTask, TaskRecord, TaskSearch

log = logging.getLogger(__name__)

FEED = 500
"""Jobs in a queue beyond which tasks wait in the database: there they cost no memory."""

RETRIES_MAX = 100_000
"""Tasks that one request may start over."""


def queue_of(kind: str) -> str:
    """Where jobs for tasks of a kind go."""
    return DOWNLOADS if kind == "download" else PICTURES


def summed(counts: Iterable[tuple[str, str | None, int]]) -> dict[str, object]:
    """Numbers of tasks by flag and problem: all, by flag, and by problem of the failed and the warnings."""
    flags = dict.fromkeys(map(str, FLAGS), 0)
    problems: dict[str, dict[str, int]] = {"failed": {}, "warning": {}}
    for flag, problem, count in counts:
        flags[flag] += count
        if flag in problems and problem:
            problems[flag][problem] = count
    return {"total": sum(flags.values()), "flags": flags, "problems": problems}


class Tasks:
    """What a client may do with tasks."""

    def __init__(self, catalog: TaskCatalog, queue: JobQueue, storage: Storage, presets: Presets) -> None:
        self._catalog = catalog
        self._queue = queue
        self._storage = storage
        self._presets = presets

    def submit(self, task: NewTask, *, batch: str | None = None) -> TaskRecord:
        """Take a task; with the same `batch` (see `batch_name`) again, give the one there is.

        Raises:
            TaskConflict: that one asks for something else.
            DatabaseUnavailable, InsufficientStorage, InvalidRequest
        """
        now = self._has_room(queue_of(task.kind))
        if batch is None:
            record = self._catalog.insert(task, queued=now)
            is_new = True
        else:
            taken, new = self._catalog.insert_lines(batch, {1: task}, queued=now)
            record, is_new = self.get(taken[0].id), bool(new)
            if taken[0].differing:
                raise TaskConflict(conflict(taken[0], "this Idempotency-Key"))
        if now and is_new:
            self._send(queue_of(task.kind), Job(WORK, record.id, task.host or task.domain))
        log.info("took task_id=%d kind=%s domain=%s", record.id, record.kind, record.domain)
        return record

    def submit_lines(self, batch: str, tasks: Mapping[int, NewTask]) -> list[Taken]:
        """Take some lines of a batch; those that are tasks already are not taken again.

        The sweeper queues them, a few at a time.

        Raises:
            DatabaseUnavailable, InsufficientStorage
        """
        taken, _ = self._catalog.insert_lines(batch, tasks, queued=False)
        return taken

    def submit_upload(self, spooled: Spooled, task: NewTask, *, batch: str | None = None) -> TaskRecord:
        """Keep received bytes durably, and take the task of checking and naming them.

        Raises:
            UnsupportedMediaType: the first bytes are of no picture.
            StorageUnavailable, InsufficientStorage, DatabaseUnavailable
        """
        sniff(spooled.head)
        self._storage.put(spooled.content.sha256, spooled.path)
        record = self.submit(task, batch=batch)
        self._storage.assure(spooled.content.sha256, spooled.path)
        return record

    def get(self, task_id: int) -> TaskRecord:
        """The task with that number.

        Raises:
            TaskNotFound: there is none.
        """
        record = self._catalog.by_id(task_id)
        if record is None:
            raise missing(task_id)
        return record

    def page(self, search: TaskSearch, *, limit: int) -> list[TaskRecord]:
        """Up to `limit` tasks, in the order of ids, or the newest first."""
        return self._catalog.page(search, limit=limit)

    def summary(self, domains: Collection[str]) -> dict[str, object]:
        """How many tasks there are for each flag, and for each reason of the failed and the warnings."""
        return summed(self._catalog.counts(domains))

    def retry(self, task_id: int) -> TaskRecord:
        """Let a failed task start over.

        Raises:
            TaskNotFound, TaskConflict
        """
        if not self._catalog.retry(task_id):
            flag = self.get(task_id).flag
            raise TaskConflict(f"task {task_id} is {flag!r}, expected one that is 'failed'")
        return self.get(task_id)

    def retry_all(self, *, problem: str | None, domains: Collection[str]) -> int:
        """Let failed tasks start over, up to 100,000 at once; how many did."""
        return self._catalog.retry_all(problem=problem, domains=domains, limit=RETRIES_MAX)

    def withdraw(self, task_id: int) -> None:
        """Remove a task that has not begun.

        Raises:
            TaskNotFound, TaskConflict
        """
        if not self._catalog.remove_waiting(task_id):
            task = self.get(task_id)
            state = f"has ended ({task.flag})" if task.ended else "is being worked on"
            raise TaskConflict(f"task {task_id} {state}, expected one that waits")

    def render_presets_later(self, record: ImageRecord) -> None:
        """Ask a worker to render the presets of an image. Only a hint: a read renders what is missing."""
        if self._presets.renditions:
            # A job that ends removes what Redis has under its name, which a newer state's job must not share.
            self._send(PICTURES, Job(RENDER, record.id, record.domain, record.rev))

    def _has_room(self, queue: str) -> bool:
        try:
            return self._queue.length(queue) < FEED
        except QueueUnavailable:
            return False

    def _send(self, queue: str, job: Job) -> None:
        try:
            self._queue.send(queue, [job])
        except QueueUnavailable as error:
            log.warning("%s is not queued now: %s", job.description, error.detail)


def batch_name(owner: str, key: str) -> str:
    """What an Idempotency-Key of one owner (an API key's id) is called in the database."""
    return hashlib.sha256(f"{owner}\n{key}".encode()).hexdigest()[:32]


def conflict(taken: Taken, came_with: str) -> str:
    """Why a task that is there cannot be the answer to what is asked for now."""
    return f"task {taken.id} came with {came_with} and another {', '.join(taken.differing)}"
