"""What works on tasks, wired: the part of an image store that a worker holds in its hand."""

import base64
import contextlib
import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from imagestore.callbackruns import CallbackRuns
from imagestore.callbacks import CallbackSender, signing_key
from imagestore.catalog import Catalog
from imagestore.download import Fetcher
from imagestore.hostlimits import HostLimits
from imagestore.jobqueue import JobQueue
from imagestore.pregeneration import Pregeneration
from imagestore.reading import Reads
from imagestore.settings import Settings
from imagestore.spool import Spool
from imagestore.storage import Storage
from imagestore.sweeping import Sweeper
from imagestore.taskcatalog import TaskCatalog
from imagestore.taskruns import Runs
from imagestore.writing import Writes

SECRET_FILE = "callback-secret"  # noqa: S105 - the name of the file, not what is in it
"""In the data directory: what callbacks are signed with when no setting says it."""

JOBS_AHEAD = 8
"""Jobs of one host that are queued, for each that may run: the sweeper comes back in 0.2 s, and a
download takes some 0.05 s."""


@dataclass(frozen=True)
class Workshop:
    """The use cases behind jobs."""

    runs: Runs
    callbacks: CallbackRuns
    pregeneration: Pregeneration
    sweeper: Sweeper
    _hosts: HostLimits

    @classmethod
    def open(
        cls,
        settings: Settings,
        tasks: TaskCatalog,
        queue: JobQueue,
        catalog: Catalog,
        storage: Storage,
        spool: Spool,
        reads: Reads,
        writes: Writes,
        *,
        chores: Callable[[], object],
    ) -> "Workshop":
        """Wire it; `chores` is called now and then, on one worker of all.

        Raises:
            ValueError: FETCH_ALLOW or CALLBACK_SECRET cannot be used.
        """
        fetch = settings.fetch
        sender = CallbackSender(allow=fetch.allow, ports=fetch.ports, user_agent=fetch.user_agent)
        hosts = HostLimits(
            settings.queue_url, concurrency=fetch.concurrency_per_host, rate=fetch.rate_per_host
        )
        pregeneration = Pregeneration(tasks, queue, catalog, reads, settings.presets)
        runs = Runs(
            tasks,
            catalog,
            writes,
            storage,
            spool,
            open_fetcher(settings),
            hosts,
            pregeneration,
            attempts=settings.task_attempts,
            retry_s=settings.task_retry_s,
            max_bytes=settings.limits.max_upload_bytes,
        )
        callbacks = CallbackRuns(
            tasks, sender, hosts, secret=_callback_secret(settings), retry_s=settings.callback_retry_s
        )
        sweeper = Sweeper(tasks, queue, per_host=JOBS_AHEAD * fetch.concurrency_per_host, chores=chores)
        return cls(runs, callbacks, pregeneration, sweeper, hosts)

    def close(self) -> None:
        """Let go of the connections that are its own."""
        self._hosts.close()


def open_fetcher(settings: Settings) -> Fetcher:
    """What fetches pictures by the rules of the settings.

    Raises:
        ValueError: FETCH_ALLOW cannot be used.
    """
    fetch = settings.fetch
    return Fetcher(
        allow=fetch.allow,
        ports=fetch.ports,
        user_agent=fetch.user_agent,
        max_bytes=settings.limits.max_upload_bytes,
        total_timeout_s=fetch.timeout_s,
    )


def _callback_secret(settings: Settings) -> str:
    """The secret of the settings, or the one in the data directory, which the first start makes."""
    secret = settings.callback_secret or _kept_secret(settings.data_dir / SECRET_FILE)
    signing_key(secret)
    return secret


def _kept_secret(path: Path) -> str:
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}-{secrets.token_hex(8)}")
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write("whsec_" + base64.b64encode(secrets.token_bytes(32)).decode() + "\n")
            file.flush()
            os.fsync(file.fileno())
        # Of several processes that start at once, one wins and all read the same.
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
        draft.unlink()
    return path.read_text().strip()
