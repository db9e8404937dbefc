"""The queue of jobs, in Redis: the only module of this package that knows RQ.

A job carries a number and nothing else, so that neither Redis nor the dashboard shows a URL or a
secret; its description says what it is about. The queue is a hint: whatever it loses, the sweeper
finds in the database.
"""

import dataclasses
import json
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

import redis
from rq import Queue, Worker
from rq.job import Job as RQJob
from rq.serializers import JSONSerializer
from rq.utils import utcparse

from imagestore.actor import actor
from imagestore.breaker import Breaker
from imagestore.errors import QueueUnavailable
from imagestore.redisclient import open_redis

DOWNLOADS, PICTURES, CALLBACKS = "downloads", "pictures", "callbacks"

QUEUES = (CALLBACKS, PICTURES, DOWNLOADS)
"""A million downloads hold up neither of the others."""

WORK, RENDER, CALL_BACK = "work_on_task", "render_presets", "call_back"
"""Functions of `worker.jobs`, which take a number."""

JOB_TIMEOUT_S = 180
"""A download takes 30 s at most, its wait for a decoder and its decode 14 s; the rest is patience."""

FAILURE_TTL_S = 24 * 3600
"""How long the dashboard shows a job whose process died."""

PUT_OFF_MAX = 10_000
"""Jobs put off in one queue; a further one is dropped, so that a decoder that stays away costs Redis 2 MB."""

_JOBS_AT_ONCE = 100
"""Redis takes them in some hundredths of a second, well below the timeout."""


@dataclass(frozen=True, slots=True)
class Job:
    """A job: one function of `worker.jobs`, a number, and what it is about (a host, a domain).

    `rev` tells apart work on one image in its several states. `tries` have been in vain. `origin` is the
    id of the request that it goes back to; None is that of the one that sends it.
    """

    function: str
    number: int
    about: str = ""
    rev: int | None = None
    tries: int = 0
    origin: str | None = None

    @property
    def id(self) -> str:
        """Its name in Redis: the same for the same work."""
        name = f"{self.function}-{self.number}"
        return name if self.rev is None else f"{name}-{self.rev}"

    @property
    def description(self) -> str:
        """`task 17 example.org`, for people."""
        words = {WORK: "task", RENDER: "presets of image", CALL_BACK: "callback of task"}
        return f"{words[self.function]} {self.number} {self.about}".rstrip()


@dataclass(frozen=True, slots=True)
class Backlog:
    """How many jobs wait in a queue, and for how many seconds the first of them has."""

    queue: str
    jobs: int
    oldest_s: float


class JobQueue:
    """The queues of one Redis; may be used by many threads, and raises QueueUnavailable quickly.

    `url` as `redis://`, `rediss://` or `unix://`.
    """

    def __init__(self, url: str, *, timeout_s: float = 1.0) -> None:
        self._redis = open_redis(url, timeout_s=timeout_s)
        self._link = Breaker("queue")

    def send(self, queue: str, jobs: Iterable[Job]) -> None:
        """Put jobs at the end of a queue, a hundred at a time.

        Raises:
            QueueUnavailable: Redis did not take them in time.
        """
        prepared = [
            Queue.prepare_data(
                f"worker.jobs.{job.function}",
                args=(job.number,),
                timeout=JOB_TIMEOUT_S,
                result_ttl=0,
                failure_ttl=FAILURE_TTL_S,
                description=job.description,
                job_id=job.id,
                # For the job's log lines; a task's row has it too.
                meta={"request_id": job.origin or actor().request_id, "tries": job.tries},
            )
            for job in jobs
        ]
        for start in range(0, len(prepared), _JOBS_AT_ONCE):
            with self._asking():
                self._queue(queue).enqueue_many(prepared[start : start + _JOBS_AT_ONCE])

    def put_off(self, queue: str, job: Job, delay_s: float) -> bool:
        """Have a job sent in `delay_s` seconds (`send_due`); False if too many wait for that already.

        It is none of RQ's jobs until then: the one that puts it off has the same id, and takes what
        Redis has under that with it when it ends.
        """
        word = json.dumps(dataclasses.astuple(job))
        with self._asking():
            if int(self._redis.zcard(_later(queue))) >= PUT_OFF_MAX:
                return False
            self._redis.zadd(_later(queue), {word: time.time() + delay_s})
        return True

    def send_due(self, queue: str) -> int:
        """Put up to a hundred jobs whose delay is over at the end of a queue; how many."""
        with self._asking():
            due = self._redis.zrangebyscore(_later(queue), 0, time.time(), start=0, num=_JOBS_AT_ONCE)
        words = [word for word in due if isinstance(word, bytes)]
        if words:
            # Whoever is killed in between sends them twice, which is better than never.
            self.send(queue, [Job(*json.loads(word)) for word in words])
            with self._asking():
                self._redis.zrem(_later(queue), *words)
        return len(words)

    def length(self, queue: str) -> int:
        """How many jobs wait."""
        with self._asking():
            return int(self._redis.llen(self._queue(queue).key))

    def backlogs(self) -> list[Backlog]:
        """What waits in each queue."""
        with self._asking():
            return [self._backlog(name) for name in QUEUES]

    def workers(self) -> int:
        """How many workers have shown themselves in the last minute and a half."""
        with self._asking():
            # A name stays in the set when its worker was killed; the key beside it does not.
            return sum(map(bool, map(self._redis.exists, Worker.all_keys(connection=self._redis))))

    def numbers(self, queue: str, function: str) -> set[int]:
        """The numbers of all waiting jobs of one function."""
        with self._asking():
            ids = self._redis.lrange(self._queue(queue).key, 0, -1)
        names = (str(job_id, "ascii").rpartition("-") for job_id in ids if isinstance(job_id, bytes))
        return {int(number) for name, _, number in names if name == function}

    def hold(self, office: str, holder: str, life_s: float) -> bool:
        """Whether `holder` holds the one `office` for the next `life_s` seconds, or has it still."""
        with self._asking():
            held = self._redis.eval(_HOLD, 1, f"office:{office}", holder, int(life_s * 1000))
        return bool(held)

    def check(self) -> bool:
        """Whether Redis answers."""
        try:
            with self._asking():
                return bool(self._redis.ping())
        except QueueUnavailable:
            return False

    def close(self) -> None:
        """Close the connections of this process."""
        self._redis.close()

    def _backlog(self, name: str) -> Backlog:
        queue = self._queue(name)
        head = self._redis.lindex(queue.key, 0)
        queued = isinstance(head, bytes) and self._redis.hget(RQJob.key_for(head.decode()), "enqueued_at")
        age = 0.0
        if isinstance(queued, bytes):
            age = (datetime.now(UTC) - utcparse(queued.decode())).total_seconds()
        return Backlog(name, int(self._redis.llen(queue.key)), max(0.0, age))

    def _queue(self, name: str) -> Queue:
        return Queue(name, connection=self._redis, serializer=JSONSerializer)

    def _asking(self) -> "_Asking":
        return _Asking(self._link)


def _later(queue: str) -> str:
    return f"later:{queue}"


_HOLD = """
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""


class _Asking:
    """Translates the errors of Redis, and does not ask at all while it is thought away."""

    def __init__(self, link: Breaker) -> None:
        self._link = link

    def __enter__(self) -> None:
        if not self._link.allows():
            raise QueueUnavailable("the queue did not answer a moment ago")

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, redis.RedisError):
            self._link.failed(error)
            raise QueueUnavailable("the queue does not answer") from error
        if error is None:
            self._link.succeeded()
