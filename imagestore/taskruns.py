"""One attempt at a task: what a job does.

A job that comes twice, late, or after its task has ended does nothing. A job that ends in the
middle leaves nothing half done: storing the same bytes under the same name again changes nothing.
"""

import contextlib
import logging
import random
import time
from collections.abc import Callable, Iterator

from imagestore.actor import Actor, acting_as
from imagestore.catalog import Catalog
from imagestore.download import Fetched, Fetcher
from imagestore.errors import (
    DatabaseUnavailable,
    FetchFailed,
    ImagestoreError,
    InsufficientStorage,
    OriginalMissing,
    ProcessingTimeout,
    QuotaExceeded,
    Unavailable,
    UnsupportedMediaType,
)
from imagestore.flight import heartbeat
from imagestore.hostlimits import HostLimits
from imagestore.metrics import count_received, count_task
from imagestore.pregeneration import Pregeneration
from imagestore.records import CONTENT_TYPES, Spooled
from imagestore.spool import Spool
from imagestore.storage import Storage
from imagestore.taskcatalog import TaskCatalog
from imagestore.taskrecords import Again, Ended, Fetch, Flag, NewTask, TaskRecord
from imagestore.writing import Stored, Writes

log = logging.getLogger(__name__)

LONGEST_BEAT_S = 4
"""Well below the lease of a host's place (15 s)."""

BEATS_PER_LEASE = 5

LONGEST_PAUSE_S = 3600
"""However long an origin asks us to wait (Retry-After)."""

AWAY_PAUSE_S = 5
"""Until a task is tried again that met a dependency which does not answer; such tries do not count."""

_BACKOFF = 4
"""Each pause between tries is so many times the one before."""

_TYPE_SYNONYMS = {
    "image/jpg": "image/jpeg",
    "image/pjpeg": "image/jpeg",
    "image/x-png": "image/png",
    "image/heif": "image/heic",
    "image/x-ms-bmp": "image/bmp",
    "image/x-bmp": "image/bmp",
    "image/tif": "image/tiff",
}
_SAYS_NOTHING = ("application/octet-stream", "binary/octet-stream")


class Runs:
    """Everything that a job for a task needs."""

    def __init__(
        self,
        tasks: TaskCatalog,
        catalog: Catalog,
        writes: Writes,
        storage: Storage,
        spool: Spool,
        fetcher: Fetcher,
        hosts: HostLimits,
        pregeneration: Pregeneration,
        *,
        attempts: int,
        retry_s: float,
        max_bytes: int,
    ) -> None:
        """`attempts` tries a task at most, with pauses of `retry_s` seconds, then 4, 16, ... times that."""
        self._tasks = tasks
        self._catalog = catalog
        self._writes = writes
        self._storage = storage
        self._spool = spool
        self._fetcher = fetcher
        self._hosts = hosts
        self._pregeneration = pregeneration
        self._attempts = attempts
        self._retry_s = retry_s
        self._max_bytes = max_bytes

    def run(self, task_id: int) -> None:
        """Try the task once, unless it has ended or somebody else works on it.

        Raises:
            DatabaseUnavailable: the outcome could not be noted; the sweeper will start the task over.
        """
        claimed = self._tasks.claim(task_id)
        if claimed is None:
            log.info("nothing to do for task_id=%d", task_id)
            return
        task, claim = claimed
        beats: list[Callable[[], object]] = [lambda: self._tasks.beat(task.id, claim)]
        started = time.monotonic()
        with (
            acting_as(Actor(task.key_id, f"task {task.id}", origin=task.request_id)),
            heartbeat(
                lambda: _beat(beats), every_s=min(LONGEST_BEAT_S, self._tasks.lease_s / BEATS_PER_LEASE)
            ),
        ):
            outcome = self._judge(task, self._attempt(task, claim, beats))
            self._note(task, claim, outcome, int((time.monotonic() - started) * 1000))

    def download_now(self, task: NewTask) -> Stored:
        """Fetch and store at once, without a task.

        Raises:
            FetchFailed, FetchTargetForbidden, and what `Writes.upload` raises.
        """
        with self._fetcher.fetch(task.url, self._spool) as fetched:
            if fetched.spooled is None:
                raise RuntimeError("the origin confirmed what it was not asked for")
            return self._writes.upload(
                fetched.spooled, task.domain, task.dkey, task.metadata or None, overwrite=task.overwrite
            )

    def _attempt(self, task: TaskRecord, claim: str, beats: list[Callable[[], object]]) -> Ended | Again:
        """One attempt, with every error turned into an outcome."""
        try:
            if task.kind == "download":
                return self._download(task, beats)
            if task.kind == "upload":
                return self._take_upload(task)
            return self._pregeneration.step(task, claim)
        except FetchFailed as error:
            if not error.passing:
                return Ended("failed", error.reason, error.detail)
            return Again(error.retry_after_s or 0, error.reason, error.detail)
        except OriginalMissing as error:
            return Again(0, "original-missing", error.detail)
        except QuotaExceeded as error:
            return Ended("failed", error.name, error.detail)
        except (Unavailable, InsufficientStorage) as error:
            return Again(AWAY_PAUSE_S, error.name, error.detail, counts=False)
        except ProcessingTimeout as error:
            return Again(0, error.name, error.detail)
        except ImagestoreError as error:
            return Ended("failed", error.name, error.detail)
        except Exception:
            # Also the job's own time limit, which RQ raises from a signal.
            log.exception("a bug, or the job's time is over: task_id=%d", task.id)
            return Again(0, "internal-error", "an unexpected error; the log has it under this task's id")

    def _judge(self, task: TaskRecord, outcome: Ended | Again) -> Ended | Again:
        """Enough tries are a failure; otherwise the pause grows, and is never shorter than asked for."""
        if isinstance(outcome, Ended) or not outcome.counts:
            return outcome
        if task.attempts >= self._attempts:
            sentence = f"{outcome.sentence} (after {task.attempts} tries)"
            return Ended("failed", outcome.problem, sentence)
        pause = self._retry_s * _BACKOFF ** (task.attempts - 1) * random.uniform(1, 1.25)  # noqa: S311 - no secret
        pause = max(pause, min(outcome.delay_s, LONGEST_PAUSE_S))
        return Again(pause, outcome.problem, outcome.sentence)

    def _note(self, task: TaskRecord, claim: str, outcome: Ended | Again, duration_ms: int) -> None:
        deadline = time.monotonic() + self._tasks.lease_s
        while True:
            try:
                if isinstance(outcome, Ended):
                    ours = self._tasks.end(task, claim, outcome, duration_ms)
                else:
                    ours = self._tasks.put_back(task.id, claim, outcome, duration_ms)
                break
            except DatabaseUnavailable:
                if time.monotonic() > deadline:
                    raise
                time.sleep(1)
        what = outcome.flag if isinstance(outcome, Ended) else "again"
        count_task(kind=task.kind, outcome=what, problem=outcome.problem, seconds=duration_ms / 1000)
        log.info(
            "task_id=%d attempt=%d outcome=%s problem=%s host=%s ms=%d%s",
            *(task.id, task.attempts, what, outcome.problem, task.host, duration_ms),
            "" if ours else " (its claim was lost, so this does not count)",
        )

    def _download(self, task: TaskRecord, beats: list[Callable[[], object]]) -> Ended | Again:
        known = self._known(task)
        with contextlib.ExitStack() as stack:
            with self._hosts.place(task.host) as place:
                if place.wait_s:
                    # Not all at the same moment again.
                    return Again(place.wait_s * random.uniform(1, 2), counts=False)  # noqa: S311 - no secret
                beats.append(place.keep)
                fetched = stack.enter_context(
                    self._fetcher.fetch(
                        task.url,
                        self._spool,
                        etag=known.fetch.etag if known else None,
                        last_modified=known.fetch.last_modified if known else None,
                        final_url=known.fetch.final_url if known else None,
                    )
                )
            del beats[1:]
            if fetched.spooled is not None:
                count_received("download", fetched.spooled.content.size)
            fetch = Fetch(fetched.final_url, fetched.etag, fetched.last_modified)
            if fetched.spooled is None:
                if known is None:
                    raise RuntimeError("the origin confirmed what it was not asked for")
                sentence = "the origin says that the stored picture is still the same"
                return Ended("warning", "unchanged", sentence, known.image_id, known.sha256, fetch)
            try:
                return self._store(task, fetched.spooled, fetch, fetched)
            except UnsupportedMediaType as error:
                # Mostly a page where a picture was expected, as for who is not logged in.
                claimed = f"the server claimed {fetched.content_type}; " if fetched.content_type else ""
                return Ended("failed", error.name, claimed + error.detail)

    def _known(self, task: TaskRecord) -> TaskRecord | None:
        """An earlier download of the same, if its picture is still what it brought."""
        if task.metadata:
            return None
        known = self._tasks.last_fetch(task.url, task.domain, task.dkey)
        if known is None or known.image_id is None or not (known.fetch.etag or known.fetch.last_modified):
            return None
        image = self._catalog.by_id(known.image_id)
        if image is None or image.sha256 != known.sha256:
            return None
        try:
            # "Still the same" must not be the answer when what is stored is lost: then the bytes are needed.
            return known if self._storage.size(image.sha256) == image.size else None
        except OriginalMissing:
            return None

    def _take_upload(self, task: TaskRecord) -> Ended:
        if task.sha256 is None:
            raise RuntimeError("the task of an upload does not say what was uploaded")
        # Through the spool, which computes the digests: so bytes that rotted meanwhile are noticed.
        with (
            self._storage.read(task.sha256) as original,
            self._spool.receive(original, max_bytes=self._max_bytes) as spooled,
        ):
            if spooled.content.sha256 != task.sha256:
                return Ended("failed", "storage-corrupt", "the stored bytes are not the received ones")
            return self._store(task, spooled, Fetch(), None)

    def _store(self, task: TaskRecord, spooled: Spooled, fetch: Fetch, fetched: Fetched | None) -> Ended:
        stored = self._writes.upload(
            spooled,
            task.domain,
            task.dkey,
            task.metadata or None,
            overwrite=task.overwrite,
            truncated_too=task.kind == "download",
        )
        warnings = list(_warnings(task, stored, fetched))
        problem = warnings[0][0] if warnings else None
        sentence = "; ".join(sentence for _, sentence in warnings)
        flag: Flag = "warning" if warnings else "succeed"
        return Ended(flag, problem, sentence, stored.record.id, stored.record.sha256, fetch)


def _warnings(task: TaskRecord, stored: Stored, fetched: Fetched | None) -> Iterator[tuple[str, str]]:
    """What a person should know of a stored picture, the gravest first."""
    record = stored.record
    if record.image_metadata.get("truncated"):
        yield "truncated", "the picture is cut short; what is there of it was stored"
    claimed = fetched.content_type if fetched else None
    if claimed and claimed not in _SAYS_NOTHING:
        really = CONTENT_TYPES[record.format]
        if _TYPE_SYNONYMS.get(claimed, claimed) != really:
            yield "type-differs", f"the server claimed {claimed}, the bytes are {really}"
    # An earlier attempt of this very task may have stored it and been killed before it could say so.
    ours = (task.attempts > 1 or task.deaths > 0) and record.update_time >= task.create_time
    if stored.outcome == "unchanged" and not ours:
        yield "unchanged", "the same bytes are stored under that key already"


def _beat(beats: list[Callable[[], object]]) -> None:
    for beat in list(beats):
        with contextlib.suppress(ImagestoreError):
            beat()
