"""One attempt at telling a client how its task ended.

Delivery has a state of its own in the task's row, so that it survives every restart; the receiver
gets each result at least once, under one event id.
"""

import logging
import random

from imagestore.actor import Actor, acting_as
from imagestore.callbacks import CallbackSender
from imagestore.errors import FetchFailed, FetchTargetForbidden, InvalidURL
from imagestore.hostlimits import HostLimits
from imagestore.metrics import count_callback
from imagestore.taskcatalog import TaskCatalog
from imagestore.taskrecords import CALLBACK_UNDELIVERABLE, Ended, TaskRecord, callback_body
from imagestore.weburl import WebURL

log = logging.getLogger(__name__)

PAUSES = (1, 4, 15, 45, 120)
"""Between six tries, in units of `retry_s`: with its default of 60 s the fifth try comes after 65
minutes and the last one after three hours (promises §16)."""

TRY_S = 12
"""A try takes 10 s at most; one that is not heard of for that and a task's lease is repeated."""

LONGEST_PAUSE_S = 6 * 3600


class CallbackRuns:
    """Everything that a callback's job needs."""

    def __init__(
        self, tasks: TaskCatalog, sender: CallbackSender, hosts: HostLimits, *, secret: str, retry_s: float
    ) -> None:
        self._callbacks = tasks.callbacks
        self._lease_s = TRY_S + tasks.lease_s
        self._sender = sender
        self._hosts = hosts
        self._secret = secret
        self._retry_s = retry_s

    def run(self, task_id: int) -> None:
        """Try once, unless that is done or not due.

        Raises:
            DatabaseUnavailable, QueueUnavailable: the sweeper will have it tried again.
        """
        task = self._callbacks.claim(task_id, self._lease_s)
        if task is None or task.callback is None or task.delivery is None:
            log.info("no callback to deliver for task_id=%d", task_id)
            return
        with (
            acting_as(Actor(task.key_id, f"task {task.id}", origin=task.request_id)),
            self._hosts.place(f"callback {WebURL.parse(task.callback).authority}") as place,
        ):
            if place.wait_s:
                self._callbacks.postponed(task.id, place.wait_s * random.uniform(1, 2))  # noqa: S311 - no secret
                return
            self._deliver(task, task.callback, task.delivery.attempts)

    def _deliver(self, task: TaskRecord, url: str, attempt: int) -> None:
        try:
            self._sender.deliver(url, task.event_id, callback_body(task), self._secret)
        except FetchFailed as error:
            log.info("callback of task_id=%d attempt=%d: %s", task.id, attempt, error.reason)
            if not error.passing or attempt > len(PAUSES):
                self._give_up(task, error.reason, error.detail, attempt)
                return
            pause = self._retry_s * PAUSES[attempt - 1] * random.uniform(1, 1.1)  # noqa: S311 - no secret
            pause = max(pause, min(error.retry_after_s or 0, LONGEST_PAUSE_S))
            self._callbacks.again(task.id, error.reason, pause)
            count_callback("again")
        except (FetchTargetForbidden, InvalidURL) as error:
            self._give_up(task, error.name, error.detail, attempt)
        else:
            self._callbacks.delivered(task.id)
            count_callback("delivered")
            log.info("callback of task_id=%d attempt=%d: delivered", task.id, attempt)

    def _give_up(self, task: TaskRecord, problem: str, detail: str, attempt: int) -> None:
        sentence = f"given up after {attempt} tries, the last of which ended with {problem}: {detail}"
        ended = Ended("warning", CALLBACK_UNDELIVERABLE, sentence)
        self._callbacks.failed(task, problem, ended)
        count_callback("failed")
        log.warning("callback of task_id=%d is undeliverable: %s", task.id, problem)
