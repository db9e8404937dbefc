"""Presets rendered ahead of the first reader: for one image, or for a whole domain in many steps."""

import logging
import random
import time
from collections.abc import Mapping
from typing import Any

from imagestore.actor import actor
from imagestore.catalog import Catalog
from imagestore.errors import ImageNotFound, QueueUnavailable, Unavailable
from imagestore.jobqueue import PICTURES, RENDER, Job, JobQueue
from imagestore.presets import Presets
from imagestore.reading import Reads, Wanted
from imagestore.records import ImageRecord
from imagestore.rendition import Rendition
from imagestore.taskcatalog import TaskCatalog
from imagestore.taskrecords import Again, Ended, TaskRecord

log = logging.getLogger(__name__)

STEP_S = 15
"""A domain's job makes room for others after this long, and goes on later."""

PAUSES_S = (5, 10, 20, 40, 80, 160, 320, 640)
"""Between tries at the presets of one image that meet busy decoders or a store that is away: 21 minutes in
all. After the last the first reader has them made."""

PAGE = 50


class Pregeneration:
    """Renders presets into the cache."""

    def __init__(
        self, tasks: TaskCatalog, queue: JobQueue, catalog: Catalog, reads: Reads, presets: Presets
    ) -> None:
        self._tasks = tasks
        self._queue = queue
        self._catalog = catalog
        self._reads = reads
        self._presets = presets

    def render(self, image_id: int, *, tries: int = 0) -> None:
        """All presets of one image; one that is gone needs none.

        What cannot be done now is put off, after `tries` that were in vain already.

        Raises:
            Unavailable: there were enough of them, or the queue takes it no more.
        """
        about, rev = "", None
        try:
            record = self._catalog.by_id(image_id)
            if record is not None:
                about, rev = record.domain, record.rev
                self._render(record)
        except Unavailable as error:
            job = Job(RENDER, image_id, about, rev, tries + 1, actor().origin)
            if not self._put_off(job, error):
                raise

    def step(self, task: TaskRecord, claim: str) -> Ended | Again:
        """Go on with a domain's pictures for some seconds.

        The task's progress holds `after` (the last dkey done), `done`, `failed` and `total`.
        """
        progress: dict[str, Any] = {"after": None, "done": 0, "failed": 0, **task.progress}
        progress["total"] = self._catalog.count(task.domain)
        deadline = time.monotonic() + STEP_S
        while time.monotonic() < deadline:
            page = self._catalog.domain_page(task.domain, prefix="", after=progress["after"], limit=PAGE)
            if not page:
                return _finished(progress)
            for record in page:
                good = self._render(record)
                progress["done" if good else "failed"] += 1
                progress["after"] = record.dkey
                if time.monotonic() > deadline:
                    break
            if not self._tasks.note_progress(task.id, claim, progress):
                break
        return Again(0, counts=False)

    def _put_off(self, job: Job, error: Unavailable) -> bool:
        if job.tries > len(PAUSES_S):
            return False
        # Not all at the same moment again.
        pause_s = PAUSES_S[job.tries - 1] * random.uniform(1, 1.25)  # noqa: S311 - no secret
        try:
            if not self._queue.put_off(PICTURES, job, pause_s):
                return False
        except QueueUnavailable:
            return False
        which = f"{job.tries} of {len(PAUSES_S)}"
        log.warning(
            "presets of image_id=%d are put off for %.0f s (%s): %s: %s",
            *(job.number, pause_s, which, error.name, error.detail),
        )
        return True

    def _render(self, record: ImageRecord) -> bool:
        """Whether all presets of the image are in the cache now; one that fails stops no other.

        Raises:
            Unavailable: not the picture's fault (when overloaded, readers go first).
        """
        wanted = [each for wish in self._presets.renditions if (each := self._wanted(record, wish))]
        if not wanted:
            return False
        failures = [
            (each, error) for each, error in zip(wanted, self._reads.keep_all(wanted), strict=True) if error
        ]
        for each, error in failures:
            what = each.rendition.key
            log.warning("preset %s of image_id=%d: %s: %s", what, record.id, error.name, error.detail)
        return not failures and len(wanted) == len(self._presets.renditions)

    def _wanted(self, record: ImageRecord, rendition: Rendition) -> Wanted | None:
        try:
            return self._reads.wanted(record, rendition)
        except ImageNotFound:
            log.warning("presets of image_id=%d name a watermark that is not there", record.id)
            return None


def _finished(progress: Mapping[str, Any]) -> Ended:
    if progress["failed"]:
        return Ended("warning", "not-all-rendered", f"{progress['failed']} pictures could not be rendered")
    return Ended("succeed")
