"""RQ with jobs that do nothing, worked by one forking worker: the ceiling of any job.

usage: python -m bench.noop REDIS_URL COUNT    prints jobs a second
"""

import sys
import time

from redis import Redis
from rq import Queue, Worker
from rq.serializers import JSONSerializer

# As the project's worker does before it forks: a process of this size is what a job forks from.
import imagestore.service  # noqa: F401 - imported for its size, not for use


def nothing(number: int) -> None:
    """The job."""


def main(url: str, count: int) -> None:
    """Queue `count` jobs, and work them all with the worker, queue and serializer of `worker/pool.py`."""
    with Redis.from_url(url) as connection:
        queue = Queue("bench", connection=connection, serializer=JSONSerializer)
        jobs = [Queue.prepare_data("bench.noop.nothing", args=(n,), result_ttl=0) for n in range(count)]
        queue.enqueue_many(jobs)
        worker = Worker([queue], connection=connection, serializer=JSONSerializer)
        started = time.perf_counter()
        worker.work(burst=True, logging_level="WARNING")
        print(count / (time.perf_counter() - started))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
