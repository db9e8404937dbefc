"""The worker's entrance.

usage: python -m worker            work the queues until SIGTERM; a job that runs is finished first
       python -m worker check      exit 0 when a worker of this machine has shown itself in Redis lately
       python -m worker migrate    bring the database's tables up to date, and end
"""

import logging
import os
import socket
import sys
import time
from datetime import UTC, datetime, timedelta
from functools import partial

from redis import Redis
from redis.exceptions import RedisError
from rq import Worker

# Before any fork: a job would else import the image store anew in each work-horse, which takes 0.7 s
# (measured). Imported only: engines, database and S3 must not be used in this process.
import imagestore.service
from imagestore.errors import DatabaseUnavailable, ImagestoreError
from imagestore.settings import InvalidSettings, Settings
from worker import pool

log = logging.getLogger("worker")

QUEUES = ("callbacks", "pictures", "downloads")
"""They are asked in turn."""

HEARTBEAT_AGE_S = 60
"""A heartbeat older than this belongs to a worker that hangs; RQ's longest gap is 30 s (job monitoring)."""


def main(arguments: list[str]) -> int:
    """Exit status: 0 fine, 1 not healthy or not possible now, 2 wrong settings or usage."""
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(levelname)s %(name)s pid=%(process)d %(message)s"
    )
    commands = {(): work, ("check",): check, ("migrate",): migrate}
    command = commands.get(tuple(arguments))
    if command is None:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        return command(Settings.from_env(os.environ))
    except (InvalidSettings, ValueError) as error:
        print(f"worker: {error}", file=sys.stderr)
        return 2
    except (ImagestoreError, RedisError) as error:
        # Their messages hold no password; the reason matters more than where it was noticed.
        print(f"worker: {type(error).__name__}: {error}", file=sys.stderr)
        return 1


def work(settings: Settings) -> int:
    """Work the queues until SIGTERM; a second one also ends the jobs that run."""
    _wait_for_database(settings)
    imagestore.service.prepare_for_jobs(settings)
    workers = [partial(pool.work, settings, QUEUES)] * settings.worker_processes
    pool.Pool([partial(pool.sweep, settings), *workers]).run()
    return 0


def _wait_for_database(settings: Settings) -> None:
    while True:
        try:
            return imagestore.service.prepare_database(settings)
        except DatabaseUnavailable as error:
            log.warning("waiting: %s", error.detail)
            time.sleep(1)


def check(settings: Settings) -> int:
    """Whether a worker of this host (in a container: the worker) has shown itself in the last minute."""
    connection = Redis.from_url(settings.queue_url, socket_timeout=2, socket_connect_timeout=2)
    oldest = datetime.now(UTC) - timedelta(seconds=HEARTBEAT_AGE_S)
    mine = [w for w in Worker.all(connection=connection) if w.hostname == socket.gethostname()]
    alive = any(w.last_heartbeat is not None and w.last_heartbeat > oldest for w in mine)
    return 0 if alive else 1


def migrate(settings: Settings) -> int:
    """Create or change tables as this version needs them; when many do it at once, one does the work."""
    imagestore.service.prepare_database(settings)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
