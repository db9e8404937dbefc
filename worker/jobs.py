"""The jobs: each takes a number and makes one call of the service.

A job runs in a fork of its worker (RQ's work-horse). It inherits an image store that has not connected to
anything yet, and uses it up: connections and decoders must not be shared with the parent.
"""

import contextlib
import logging
from collections.abc import Callable, Iterator

from rq import get_current_job

from imagestore.actor import Actor, acting_as
from imagestore.errors import Unavailable
from imagestore.metrics import job_begins
from imagestore.service import ImageStore

log = logging.getLogger(__name__)

_open: Callable[[], ImageStore] | None = None


def equip(open_store: Callable[[], ImageStore]) -> None:
    """Tell this process how each of its jobs gets its image store."""
    global _open
    _open = open_store


def work_on_task(task_id: int) -> None:
    """Try a task of `image_task` once."""
    with _store() as store:
        store.workshop.runs.run(task_id)


def render_presets(image_id: int) -> None:
    """Render the presets of an image that is new."""
    job = get_current_job()
    meta = job.meta if job else {}
    with acting_as(Actor(origin=meta.get("request_id"))), _store() as store:
        store.workshop.pregeneration.render(image_id, tries=meta.get("tries", 0))


def call_back(task_id: int) -> None:
    """Tell a client once how its task ended."""
    with _store() as store:
        store.workshop.callbacks.run(task_id)


@contextlib.contextmanager
def _store() -> Iterator[ImageStore]:
    if _open is None:
        raise RuntimeError("this process was not equipped; start workers with `python -m worker`")
    job_begins()
    try:
        with contextlib.closing(_open()) as store:
            yield store
    except Unavailable as error:
        # No bug, and nothing is lost: the sweeper has tasks and callbacks tried again, and a preset that was
        # put off often enough is made when it is read first.
        job = get_current_job()
        what = job.description if job else "a job"
        log.warning("%s could not be done now: %s: %s", what, error.name, error.detail)
