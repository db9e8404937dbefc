"""How much there is: pictures and bytes, jobs that wait, what the cache has done."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any

from imagestore.diagnosis import open_cache
from imagestore.errors import QueueUnavailable
from imagestore.jobqueue import JobQueue
from imagestore.ledger import Usage
from imagestore.settings import Settings
from imagestore.taskcatalog import TaskCatalog
from imagestore.taskrecords import FLAGS
from imagestore.usagecatalog import UsageCatalog

_PAGE = 1000


def overview(settings: Settings) -> dict[str, Any]:
    """Pictures and their bytes, tasks by flag, jobs by queue, and the cache; None for what does not answer.

    Raises:
        DatabaseUnavailable: the database does not answer; without it there is nothing to tell.
    """
    with closing(UsageCatalog(settings.database_url)) as usage:
        domains = list(_domains(usage))
    with closing(TaskCatalog(settings.database_url, pool_size=1)) as tasks:
        flags = dict.fromkeys(map(str, FLAGS), 0)
        for flag, _, count in tasks.counts(()):
            flags[flag] += count
    return {
        "images": sum(domain.images for domain in domains),
        "bytes": sum(domain.bytes for domain in domains),
        "domains": len(domains),
        "tasks": flags,
        "queues": _queues(settings),
        "cache": _cache(settings),
    }


def _domains(catalog: UsageCatalog) -> Iterator[Usage]:
    after: str | None = None
    while page := catalog.page(after=after, limit=_PAGE):
        yield from page
        after = page[-1].domain


def _queues(settings: Settings) -> dict[str, int] | None:
    with closing(JobQueue(settings.queue_url)) as queue:
        try:
            jobs = {backlog.queue: backlog.jobs for backlog in queue.backlogs()}
            return {**jobs, "workers": queue.workers()}
        except QueueUnavailable:
            return None


def _cache(settings: Settings) -> dict[str, Any] | None:
    with closing(open_cache(settings, settings.redis_url)) as cache:
        setup, usage = cache.setup(), cache.usage()
    if setup is None or usage is None:
        return None
    return {
        "keys": setup.keys,
        "used_bytes": usage.used,
        "bound_bytes": usage.bound,
        "evicted": usage.evicted,
    }
