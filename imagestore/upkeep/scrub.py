"""The scrub: every stored original is read again from time to time, before somebody else finds the damage.

It goes through rows and files in the order of hashes, at a bounded rate, and notes in the database how
far it has come, so that a restart goes on where the last process was.
"""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

from imagestore.errors import ImagestoreError
from imagestore.inventory import Inventory
from imagestore.storage import Storage
from imagestore.upkeep.healing import Healer
from imagestore.upkeep.survey import Fault, Survey

log = logging.getLogger(__name__)

NOTE = "scrub"

SLICE_S = 5.0
"""How often the note is written."""

_NAP_S = 0.2
_BURST_S = 1.0


class Stopped(Exception):
    """The process is to end: what is under way is left."""


@dataclass(frozen=True, slots=True)
class Scrubbed:
    """How far the scrub is. `cursor` is the last original of this round, empty between rounds; `round_*`
    count this round, `last_*` the last whole one, the others everything ever. Times are seconds since
    1970; 0 is never."""

    cursor: str = ""
    round_began: float = 0
    round_originals: int = 0
    round_faults: int = 0
    last_ended: float = 0
    last_seconds: float = 0
    last_originals: int = 0
    last_faults: int = 0
    originals: int = 0
    bytes: int = 0
    faults: int = 0

    @classmethod
    def of(cls, note: Mapping[str, Any]) -> "Scrubbed":
        """From a note; what another version noted besides is left away."""
        return cls(**{name: value for name, value in note.items() if name in cls.__dataclass_fields__})


class Scrub:
    """Reads `bytes_per_s` at most. A round begins `interval_s` seconds after the last one began, or
    when that has ended, if it took longer."""

    def __init__(
        self,
        inventory: Inventory,
        storage: Storage,
        healer: Healer,
        *,
        bytes_per_s: float,
        interval_s: float,
        beat: Callable[[], object],
    ) -> None:
        """`beat` is called every second or so, and raises Stopped when the process is to end."""
        self._inventory = inventory
        self._healer = healer
        self._interval_s = interval_s
        self._pace = _Pace(bytes_per_s, beat)
        # Strays are a collection's business, so no age matters.
        self._survey = Survey(inventory, storage, grace_s=0, deep=True, readers=1, pace=self._pace.spend)

    def slice(self) -> bool:
        """Scrub for some seconds; False when the next round is not due.

        Raises:
            Stopped: what was read since the last note is read again.
            DatabaseUnavailable, StorageUnavailable, InsufficientStorage
        """
        now = datetime.now(UTC).timestamp()
        state = Scrubbed.of(self._inventory.note(NOTE))
        if not state.cursor:
            if now < state.round_began + self._interval_s:
                return False
            state = replace(state, round_began=now, round_originals=0, round_faults=0)
        ends = time.monotonic() + SLICE_S
        for pair in self._survey.pairs(state.cursor):
            fault = self._survey.examine(pair)
            state = replace(
                state,
                cursor=pair.sha256,
                originals=state.originals + 1,
                round_originals=state.round_originals + 1,
                bytes=state.bytes + (pair.file.size if pair.file else 0),
                faults=state.faults + bool(fault),
                round_faults=state.round_faults + bool(fault),
            )
            if fault:
                self._mend(fault)
            if time.monotonic() > ends:
                break
        else:
            state = _ended(state)
        self._inventory.keep_note(NOTE, asdict(state))
        return True

    def _mend(self, fault: Fault) -> None:
        image = "" if fault.image_id is None else f" image_id={fault.image_id}"
        log.error("scrub: %s sha256=%s%s: %s", fault.kind, fault.sha256, image, fault.detail)
        try:
            # What has been missing for long is not downloaded anew in each round.
            outcome = self._healer.heal(fault, download=fault.kind in ("size", "content"))
        except ImagestoreError as error:
            log.warning("scrub: nothing could be done now sha256=%s: %s", fault.sha256, error.detail)
        else:
            log.warning("scrub: sha256=%s: %s", fault.sha256, outcome.text)


def _ended(state: Scrubbed) -> Scrubbed:
    now = datetime.now(UTC).timestamp()
    seconds = now - state.round_began
    log.info("scrub: a round of %d originals took %.0f s", state.round_originals, seconds)
    return replace(
        state,
        cursor="",
        last_ended=now,
        last_seconds=seconds,
        last_originals=state.round_originals,
        last_faults=state.round_faults,
    )


class _Pace:
    """Lets no more bytes pass than its rate allows; what was not used in a second is lost."""

    def __init__(self, bytes_per_s: float, beat: Callable[[], object]) -> None:
        self._bytes_per_s = bytes_per_s
        self._beat = beat
        self._due = time.monotonic()
        self._next_beat = 0.0

    def spend(self, size: int) -> None:
        """Wait until so many bytes may have been read."""
        self._due = max(self._due, time.monotonic() - _BURST_S) + size / self._bytes_per_s
        while True:
            now = time.monotonic()
            if now >= self._next_beat:
                self._beat()
                self._next_beat = now + 1
            if now >= self._due:
                return
            time.sleep(min(_NAP_S, self._due - now))
