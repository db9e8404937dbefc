"""What the whole system can say about itself at this moment, beside what its processes count."""

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from typing import TypeVar

from imagestore.cache import Cache
from imagestore.exposition import Reading
from imagestore.inventory import Inventory
from imagestore.jobqueue import JobQueue
from imagestore.storage import Storage
from imagestore.taskcatalog import OpenTasks, TaskCatalog
from imagestore.taskrecords import KINDS
from imagestore.upkeep import caretaking

ANSWER_TIMEOUT_S = 1.0
"""How long each dependency may take to answer (promises §22)."""

T = TypeVar("T")


def ask_all(questions: Mapping[str, Callable[[], T]]) -> dict[str, T]:
    """The answers to questions that are asked at once; who fails, or needs over a second, is not in it."""
    pool = ThreadPoolExecutor(len(questions), thread_name_prefix="asking")
    try:
        futures = {name: pool.submit(question) for name, question in questions.items()}
        wait_for(futures.values(), timeout=ANSWER_TIMEOUT_S)
        done = {name: future for name, future in futures.items() if future.done()}
        return {name: future.result() for name, future in done.items() if future.exception() is None}
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


class Measures:
    """What every dependency says; `render_processes` is how many renders this machine does at once."""

    def __init__(
        self,
        tasks: TaskCatalog,
        inventory: Inventory,
        storage: Storage,
        cache: Cache,
        queue: JobQueue,
        *,
        render_processes: int,
    ) -> None:
        self._questions: dict[str, Callable[[], list[Reading]]] = {
            "database": lambda: [*_of_tasks(tasks), *caretaking.readings(inventory)],
            "storage": lambda: _of_storage(storage),
            "cache": lambda: _of_cache(cache),
            "queue": lambda: _of_queue(queue),
        }
        self._render_processes = render_processes

    def readings(self) -> Iterable[Reading]:
        """Every value, with `imagestore_up` for each dependency."""
        help = "Renders at once on one machine at most"
        yield Reading("imagestore_decoders_limit", help, self._render_processes)
        answers = ask_all(self._questions)
        for name in self._questions:
            help = "Whether a dependency answers within a second"
            yield Reading("imagestore_up", help, name in answers, {"dependency": name})
            yield from answers.get(name, [])


def _of_tasks(tasks: TaskCatalog) -> list[Reading]:
    readings = []
    found = {one.kind: one for one in tasks.open_tasks()}
    for one in (found.get(kind, OpenTasks(kind, 0, 0)) for kind in KINDS):
        labels = {"kind": one.kind}
        readings += [
            Reading("imagestore_tasks_open", "Tasks that have not ended", one.count, labels),
            Reading(
                "imagestore_tasks_overdue_seconds",
                "How long the task that waits longest should have had its turn",
                one.overdue_s,
                labels,
            ),
        ]
    return readings


def _of_storage(storage: Storage) -> list[Reading]:
    storage.check()
    room = storage.room()
    if room is None:
        return []
    free, size = room
    return [
        Reading("imagestore_store_free_bytes", "Room that is left where originals are", free),
        Reading("imagestore_store_size_bytes", "Room in all where originals are", size),
    ]


def _of_cache(cache: Cache) -> list[Reading]:
    usage = cache.usage()
    if usage is None:
        raise ConnectionError("the cache does not answer")
    evicted, expired = "Keys that Redis pushed out for want of room", "Keys of Redis whose life was over"
    return [
        Reading("imagestore_cache_used_bytes", "Memory that Redis uses", usage.used),
        Reading("imagestore_cache_limit_bytes", "Memory that Redis may use; 0: all", usage.bound),
        Reading("imagestore_cache_evicted_keys", evicted, usage.evicted, is_counter=True),
        Reading("imagestore_cache_expired_keys", expired, usage.expired, is_counter=True),
    ]


def _of_queue(queue: JobQueue) -> list[Reading]:
    readings = [Reading("imagestore_workers", "RQ workers that are alive", queue.workers())]
    for one in queue.backlogs():
        labels = {"queue": one.queue}
        oldest = "How long the first job of a queue has waited in it"
        readings += [
            Reading("imagestore_queue_jobs", "Jobs that wait in a queue", one.jobs, labels),
            Reading("imagestore_queue_oldest_seconds", oldest, one.oldest_s, labels),
        ]
    return readings
