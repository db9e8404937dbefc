"""How much there is: pictures and bytes, tasks, jobs that wait, what cache and store have room for."""

from collections.abc import Callable
from typing import Any

from imagestore.accounts import Accounts
from imagestore.cache import Cache
from imagestore.jobqueue import JobQueue
from imagestore.measuring import ask_all
from imagestore.storage import Storage
from imagestore.taskcatalog import TaskCatalog
from imagestore.tasks import summed


class Overview:
    """The same numbers for the API and for `imagestore stats`."""

    def __init__(
        self, accounts: Accounts, tasks: TaskCatalog, storage: Storage, cache: Cache, queue: JobQueue
    ) -> None:
        self._accounts = accounts
        self._tasks = tasks
        self._questions: dict[str, Callable[[], dict[str, Any] | None]] = {
            "queues": lambda: _of_queue(queue),
            "cache": lambda: _of_cache(cache),
            "store": lambda: _of_store(storage),
        }

    def of(self, domains: frozenset[str] = frozenset()) -> dict[str, Any]:
        """What domains hold, and their tasks by flag and reason; no `domains` are all, and then also the
        jobs by queue, the cache and the store. None for what does not answer within a second, or cannot tell.

        Raises:
            DatabaseUnavailable: without it there is nothing to tell.
        """
        count, images, size = self._accounts.total(domains)
        tasks = summed(self._tasks.counts(domains))
        answers = {} if domains else ask_all(self._questions)
        return {
            "images": images,
            "bytes": size,
            "domains": count,
            "tasks": tasks["flags"],
            "reasons": tasks["problems"],
            **{name: answers.get(name) for name in self._questions},
        }


def _of_queue(queue: JobQueue) -> dict[str, Any]:
    backlogs = list(queue.backlogs())
    jobs = {backlog.queue: backlog.jobs for backlog in backlogs}
    oldest = max((backlog.oldest_s for backlog in backlogs), default=0)
    return {**jobs, "workers": queue.workers(), "oldest_s": round(oldest, 1)}


def _of_cache(cache: Cache) -> dict[str, Any] | None:
    setup, usage = cache.setup(), cache.usage()
    if setup is None or usage is None:
        return None
    return {
        "keys": setup.keys,
        "used_bytes": usage.used,
        "bound_bytes": usage.bound,
        "evicted": usage.evicted,
    }


def _of_store(storage: Storage) -> dict[str, Any] | None:
    room = storage.room()
    return room and {"free_bytes": room[0], "size_bytes": room[1]}
