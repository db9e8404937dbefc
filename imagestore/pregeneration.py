"""Presets rendered ahead of the first reader: for one image, or for a whole domain in many steps."""

import logging
import time
from collections.abc import Mapping
from typing import Any

from imagestore.catalog import Catalog
from imagestore.errors import ImageNotFound
from imagestore.presets import Presets
from imagestore.reading import Reads, Wanted
from imagestore.records import ImageRecord
from imagestore.rendition import Rendition
from imagestore.taskcatalog import TaskCatalog
from imagestore.taskrecords import Again, Ended, TaskRecord

log = logging.getLogger(__name__)

STEP_S = 15
"""A domain's job makes room for others after this long, and goes on later."""

PAGE = 50


class Pregeneration:
    """Renders presets into the cache."""

    def __init__(self, tasks: TaskCatalog, catalog: Catalog, reads: Reads, presets: Presets) -> None:
        self._tasks = tasks
        self._catalog = catalog
        self._reads = reads
        self._presets = presets

    def render(self, image_id: int) -> None:
        """All presets of one image; one that is gone needs none."""
        record = self._catalog.by_id(image_id)
        if record is not None:
            self._render(record)

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
