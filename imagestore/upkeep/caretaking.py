"""The caretaker: scrubs and collects beside the sweeper, in one worker of all."""

import logging
import secrets
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict
from datetime import UTC, datetime

from imagestore.errors import ImagestoreError
from imagestore.exposition import Reading
from imagestore.inventory import Inventory
from imagestore.jobqueue import JobQueue
from imagestore.upkeep.collecting import Collected
from imagestore.upkeep.parts import Parts
from imagestore.upkeep.scrub import NOTE as SCRUB
from imagestore.upkeep.scrub import Scrub, Scrubbed, Stopped

log = logging.getLogger(__name__)

OFFICE_S = 30
"""After this long without a word from the caretaker another worker's takes over."""

COLLECTION = "collection"

COUNT = "recount"
COUNT_EVERY_S = 86_400
"""Tasks are counted anew so often, since beside servers of the version before that did not count."""

COLLECTED_AT_ONCE = 10_000
"""Originals that one periodic collection removes at most; the next one goes on."""

IDLE_PAUSE_S = 5.0


class Caretaker:
    """Does what is due, a few seconds at a time."""

    def __init__(self, parts: Parts, queue: JobQueue) -> None:
        self._parts = parts
        self._queue = queue
        self._name = secrets.token_hex(8)
        self._stopped: Callable[[], bool] = lambda: False
        upkeep = parts.settings.upkeep
        self._collect_every_s = upkeep.gc_interval_s
        self._scrub = None
        if upkeep.scrub_bytes_per_s:
            self._scrub = Scrub(
                parts.inventory,
                parts.storage,
                parts.healer(),
                bytes_per_s=upkeep.scrub_bytes_per_s,
                interval_s=upkeep.scrub_interval_s,
                beat=self._beat,
            )

    def run(self, stopped: Callable[[], bool]) -> None:
        """Take care until `stopped` says so, whatever is away meanwhile."""
        self._stopped = stopped
        well = True
        while not stopped():
            busy = False
            try:
                busy = self.round()
                well = True
            except Stopped:
                continue
            except ImagestoreError as error:
                # Once an outage, and not once a second.
                if well:
                    log.warning("cannot scrub or collect now: %s", error.detail)
                well = False
            except Exception:
                log.exception("a bug in the caretaker")
            self._rest(0 if busy else IDLE_PAUSE_S)

    def round(self) -> bool:
        """Do a little, if it is this caretaker's turn; whether something was due.

        Raises:
            Stopped, ImagestoreError
        """
        if not self._queue.hold("caretaker", self._name, OFFICE_S):
            return False
        self._count()
        collected = self._collect()
        return bool(self._scrub and self._scrub.slice()) or collected

    def _collect(self) -> bool:
        """A collection, if one is due."""
        inventory = self._parts.inventory
        note = inventory.note(COLLECTION)
        now = datetime.now(UTC).timestamp()
        if not self._collect_every_s or now < note.get("began", 0) + self._collect_every_s:
            return False
        collector = self._parts.collector()
        if doubt := collector.doubt(self._beat):
            log.warning("no collection, since %s; `imagestore gc --anyway` removes them", doubt)
            inventory.keep_note(COLLECTION, {**note, "began": now})
            return False
        done = Collected()
        for so_far in collector.run(limit=COLLECTED_AT_ONCE):
            done = so_far
            self._beat()
        totals = {name: note.get(name, 0) + count for name, count in asdict(done).items()}
        inventory.keep_note(COLLECTION, {"began": now, **totals})
        if done.removed or done.restored:
            log.info("collected %d originals of %d bytes", done.removed, done.bytes)
        return True

    def _count(self) -> None:
        """Count the tasks anew, if that is due."""
        inventory = self._parts.inventory
        now = datetime.now(UTC).timestamp()
        if now < inventory.note(COUNT).get("began", 0) + COUNT_EVERY_S:
            return
        inventory.keep_note(COUNT, {"began": now})
        for wrong in self._parts.tasks.recount(repair=True):
            log.warning("counted anew: %s", wrong)

    def _beat(self) -> None:
        """Keep the office while long work goes on.

        Raises:
            Stopped: the process is to end, or somebody else has the office.
            QueueUnavailable
        """
        if self._stopped() or not self._queue.hold("caretaker", self._name, OFFICE_S):
            raise Stopped

    def _rest(self, seconds: float) -> None:
        ends = time.monotonic() + seconds
        while time.monotonic() < ends and not self._stopped():
            time.sleep(0.2)


def readings(inventory: Inventory) -> Iterable[Reading]:
    """What scrub and collection have done, for the page of metrics.

    Raises:
        DatabaseUnavailable
    """
    scrub, collection = Scrubbed.of(inventory.note(SCRUB)), inventory.note(COLLECTION)
    now = datetime.now(UTC).timestamp()
    counted = "imagestore_scrubbed_originals", "Originals that the scrub has read again"
    yield Reading(*counted, scrub.originals, is_counter=True)
    yield Reading("imagestore_scrubbed_bytes", "Bytes that the scrub has read", scrub.bytes, is_counter=True)
    faults = "imagestore_scrub_faults", "Missing and damaged originals that the scrub has found"
    yield Reading(*faults, scrub.faults, is_counter=True)
    if scrub.last_ended:
        age = "imagestore_scrub_round_age_seconds", "Since the last whole round of the scrub has ended"
        yield Reading(*age, now - scrub.last_ended)
        took = "imagestore_scrub_round_seconds", "How long the last whole round of the scrub took"
        yield Reading(*took, scrub.last_seconds)
        found = "imagestore_scrub_round_faults", "Faults that the last whole round of the scrub found"
        yield Reading(*found, scrub.last_faults)
    removed = "imagestore_collected_originals", "Originals removed since no row needed them"
    yield Reading(*removed, collection.get("removed", 0), is_counter=True)
    size = "imagestore_collected_bytes", "Bytes of originals removed since no row needed them"
    yield Reading(*size, collection.get("bytes", 0), is_counter=True)
    if "began" in collection:
        age = "imagestore_collection_age_seconds", "Since the last periodic collection has begun"
        yield Reading(*age, now - collection["began"])
