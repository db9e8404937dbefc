"""The worker's entrance.

usage: python -m worker            work the queues until SIGTERM; a job that runs is finished first
       python -m worker migrate    bring the database's tables up to date, and end
"""

import logging
import os
import sys
import time
from collections.abc import Callable
from functools import partial

from redis.exceptions import RedisError

# Before any fork: a job would else import the image store anew in each work-horse, which takes 0.7 s
# (measured). Imported only: engines, database and S3 must not be used in this process.
import imagestore.service
from imagestore import logs
from imagestore.errors import DatabaseUnavailable, ImagestoreError
from imagestore.settings import InvalidSettings, Settings
from worker import page, pool

log = logging.getLogger("worker")

QUEUES = ("callbacks", "pictures", "downloads")
"""They are asked in turn."""


def main(arguments: list[str]) -> int:
    """Exit status: 0 fine, 1 not possible now, 2 wrong settings or usage."""
    commands = {(): work, ("migrate",): migrate}
    command = commands.get(tuple(arguments))
    if command is None:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        settings = Settings.from_env(os.environ)
        logs.set_up(settings.log_format)
        return command(settings)
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
    roles: list[Callable[[], None]] = [partial(pool.sweep, settings)]
    roles += [partial(pool.work, settings, QUEUES)] * settings.worker_processes
    if settings.worker_metrics_port:
        roles.append(partial(page.serve, settings))
    pool.Pool(roles).run()
    return 0


def _wait_for_database(settings: Settings) -> None:
    while True:
        try:
            return imagestore.service.prepare_database(settings)
        except DatabaseUnavailable as error:
            log.warning("waiting: %s", error.detail)
            time.sleep(1)


def migrate(settings: Settings) -> int:
    """Create or change tables as this version needs them; when many do it at once, one does the work."""
    imagestore.service.prepare_database(settings)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
