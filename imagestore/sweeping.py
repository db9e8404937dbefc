"""The sweeper: sends jobs for tasks whose time has come, and finds tasks whose job was lost.

One at a time over all workers. It looks only at rows that are due, so that a million waiting tasks
cost it nothing.
"""

import logging
import secrets
import time
from collections import Counter
from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

from imagestore.errors import ImagestoreError
from imagestore.jobqueue import CALL_BACK, CALLBACKS, PICTURES, WORK, Job, JobQueue
from imagestore.metrics import count_buried_task
from imagestore.taskcatalog import TaskCatalog
from imagestore.taskrecords import KINDS, Due, Ended, Kind
from imagestore.tasks import FEED, queue_of

log = logging.getLogger(__name__)

OFFICE_S = 5
"""After this long without a word from the sweeper another worker's takes over."""

BUSY_PAUSE_S = 0.2
IDLE_PAUSE_S = 1.0

CHORES_PAUSE_S = 60
"""Between calls of what clears away old rows."""

MAX_DEATHS = 3
"""A task that ended this many workers is not tried again (promises §18)."""


class Sweeper:
    """Keeps the queues fed. `per_host` jobs of one host are queued or at work at most, so that a
    slow host holds up nobody else. `chores` clears away what is old, and is called once a minute."""

    def __init__(
        self,
        catalog: TaskCatalog,
        queue: JobQueue,
        *,
        per_host: int,
        chores: Callable[[], object] = lambda: None,
    ) -> None:
        self._catalog = catalog
        self._queue = queue
        self._per_host = per_host
        self._chores = chores
        self._chores_due = time.monotonic()
        self._name = secrets.token_hex(8)
        self._in_office = False
        self._missing: set[int] = set()
        self._missing_now: set[int] = set()

    def run(self, stopped: Callable[[], bool]) -> None:
        """Sweep until `stopped` says so, whatever else is away meanwhile."""
        well = True
        while not stopped():
            busy = False
            try:
                busy = self.round() > 0
                well = True
            except ImagestoreError as error:
                # Once an outage, and not once a second.
                if well:
                    log.warning("cannot sweep now: %s", error.detail)
                well = False
            except Exception:
                log.exception("a bug in the sweeper")
            time.sleep(BUSY_PAUSE_S if busy else IDLE_PAUSE_S)

    def round(self) -> int:
        """Sweep once, if it is this sweeper's turn; how many jobs were sent.

        Raises:
            DatabaseUnavailable, QueueUnavailable
        """
        was_in_office, self._in_office = self._in_office, self._queue.hold("sweeper", self._name, OFFICE_S)
        if not self._in_office:
            return 0
        if not was_in_office:
            log.info("the sweeper of this worker is in office")
        sent = self._feed() + self._call_back() + self._queue.send_due(PICTURES)
        if time.monotonic() >= self._chores_due:
            self._chores_due = time.monotonic() + CHORES_PAUSE_S
            self._chores()
        return sent

    def _feed(self) -> int:
        busy = Counter(self._catalog.turns.busy_hosts())
        self._missing, self._missing_now = self._missing_now, set()
        return sum(self._feed_kind(kind, busy) for kind in KINDS)

    def _feed_kind(self, kind: Kind, busy: Counter[str]) -> int:
        queue = queue_of(kind)
        room = FEED - self._queue.length(queue)
        sent = 0
        while True:
            full = self._full(busy)
            chosen = self._choose(
                self._catalog.turns.due(kind, 2 * FEED, without_hosts=full), room - sent, busy
            )
            # The row first: a job that is faster than we are must find that it was queued.
            self._catalog.turns.mark_queued([one.id for one in chosen])
            self._queue.send(queue, [Job(WORK, one.id, one.host) for one in chosen])
            sent += len(chosen)
            # Tasks of hosts that had no room hid others; those come now, or in the next rounds.
            if sent >= room or self._full(busy) == full:
                return sent

    def _full(self, busy: Counter[str]) -> set[str]:
        """Hosts that get no further job now."""
        return {host for host, count in busy.items() if host and count >= self._per_host}

    def _choose(self, due: Sequence[Due], room: int, busy: Counter[str]) -> list[Due]:
        """Up to `room` of the due tasks that get a job now."""
        queued = [one for one in due if one.queued and not one.claim]
        present = self._queue.numbers(queue_of(queued[0].kind), WORK) if queued else set()
        self._catalog.turns.mark_queued([one.id for one in queued if one.id in present])
        # A job that a worker has just taken is not in the queue either; so it must be missing twice.
        missing = {one.id for one in queued} - present
        self._missing_now |= missing
        chosen: list[Due] = []
        for one in due:
            if one.claim:
                self._bury(one)
            elif len(chosen) >= room:
                continue
            elif one.queued:
                if one.id in missing & self._missing:
                    log.warning("the job of task_id=%d was lost; it is queued again", one.id)
                    chosen.append(one)
            elif not one.host or busy[one.host] < self._per_host:
                busy[one.host] += 1
                chosen.append(one)
        return chosen

    def _bury(self, one: Due) -> None:
        """A worker went silent in the middle of this task."""
        if one.deaths + 1 < MAX_DEATHS:
            if self._catalog.turns.release(one):
                log.warning("the worker of task_id=%d is gone; it starts over", one.id)
            return
        poison = Ended("failed", "poison", f"{MAX_DEATHS} workers ended in the middle of this task")
        if self._catalog.turns.end_dead(one, poison):
            count_buried_task(one.kind)
            log.error("task_id=%d ended %d workers and is not tried again", one.id, MAX_DEATHS)

    def _call_back(self) -> int:
        due = self._catalog.callbacks.due(FEED)
        if not due:
            return 0
        present = self._queue.numbers(CALLBACKS, CALL_BACK)
        self._catalog.callbacks.mark_queued([task_id for task_id, _ in due])
        jobs = [Job(CALL_BACK, number, urlsplit(url).netloc) for number, url in due if number not in present]
        self._queue.send(CALLBACKS, jobs)
        return len(jobs)
