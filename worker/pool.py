"""The processes of one `python -m worker`: some RQ workers and a sweeper, each started again when it ends.

The parent imports, forks and waits, and nothing else, so that there is little that could end it.
RQ's worker gives up when Redis is away for long; here it is started again until Redis is back.
"""

import contextlib
import ctypes
import logging
import os
import secrets
import signal
import socket
import threading
import time
from collections.abc import Callable

from redis.exceptions import RedisError
from rq import Queue, Worker
from rq.serializers import JSONSerializer
from rq.worker import DequeueStrategy

from imagestore.metrics import count_jobs_together, forget_process
from imagestore.redisclient import open_patient_redis
from imagestore.service import ImageStore
from imagestore.settings import Settings
from worker import jobs

log = logging.getLogger(__name__)

WORKER_TTL_S = 30
"""An idle worker shows itself every half of it (RQ: 15 s before it ends)."""

RESTART_PAUSE_S = 1.0
"""Between the end of a process and the start of the next one in its place."""

_PR_SET_PDEATHSIG = 1
"""prctl(2)."""


class Pool:
    """Runs a function in each of some processes until it is told to stop.

    Each function has to end by itself after SIGTERM; a second SIGTERM hurries it.
    """

    def __init__(self, roles: list[Callable[[], None]]) -> None:
        self._roles = roles
        self._places: dict[int, int] = {}
        self._stopping = False

    def run(self) -> None:
        """Work until SIGTERM or SIGINT, and until all processes have ended."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        vacant = dict.fromkeys(range(len(self._roles)), 0.0)
        while self._places or not self._stopping:
            if not self._stopping:
                for place in [place for place, since in vacant.items() if time.monotonic() >= since]:
                    del vacant[place]
                    self._places[self._fork(self._roles[place])] = place
            for place in self._ended():
                vacant[place] = time.monotonic() + RESTART_PAUSE_S
            time.sleep(0.1)

    def _fork(self, role: Callable[[], None]) -> int:
        parent = os.getpid()
        pid = os.fork()
        if pid:
            return pid
        code = 1
        try:
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, signal.SIG_DFL)
            # A parent that was killed takes its processes with it, after their present job.
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
            if os.getppid() == parent:
                role()
            code = 0
        except SystemExit:
            pass
        except Exception:
            log.exception("a process of the worker failed")
        finally:
            os._exit(code)

    def _ended(self) -> list[int]:
        """The places whose process has ended since the last look."""
        free = []
        for pid in list(self._places):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                free.append(self._places.pop(pid))
                forget_process(pid)
                if not self._stopping:
                    code = os.waitstatus_to_exitcode(status)
                    log.warning("a process of the worker ended with %d and is started again", code)
        return free

    def _stop(self, number: int, frame: object) -> None:
        self._stopping = True
        for pid in self._places:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)


def work(settings: Settings, queue_names: tuple[str, ...]) -> None:
    """Be one RQ worker until SIGTERM; the job that runs is finished first."""
    count_jobs_together()
    store = ImageStore.open(settings, for_one_job=True)
    jobs.equip(lambda: store)
    connection = open_patient_redis(settings.queue_url)
    queues = [Queue(name, connection=connection, serializer=JSONSerializer) for name in queue_names]
    # A name of its own at each start: after a kill -9 Redis still knows the old one for a while,
    # and RQ refuses a second worker of one name.
    name = f"{socket.gethostname()}-{secrets.token_hex(4)}"
    logging.getLogger("rq.worker").addFilter(_is_news)
    worker = Worker(
        queues, name=name, connection=connection, serializer=JSONSerializer, worker_ttl=WORKER_TTL_S
    )
    # In turn, so that no queue waits for another one to be empty.
    try:
        worker.work(logging_level="WARNING", dequeue_strategy=DequeueStrategy.ROUND_ROBIN)
    except RedisError as error:
        # The pool starts another one in its place, until Redis is back.
        log.warning("a worker has lost the queue: %s", type(error).__name__)
        raise SystemExit(1) from error


def _is_news(record: logging.LogRecord) -> bool:
    """RQ tells each of its tries to reach Redis as an error; eight workers would fill the log with them."""
    return "could not connect to Redis" not in str(record.msg)


def sweep(settings: Settings) -> None:
    """Be the sweeper and the caretaker, or wait to be, until SIGTERM."""
    stopping = []
    signal.signal(signal.SIGTERM, lambda number, frame: stopping.append(number))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with contextlib.closing(ImageStore.open(settings)) as store:
        caretaker = threading.Thread(target=lambda: store.caretaker.run(lambda: bool(stopping)))
        caretaker.start()
        store.workshop.sweeper.run(lambda: bool(stopping))
        caretaker.join()
