"""nginx while the wall clock of its machine is set back."""

import hashlib
from dataclasses import replace
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path

from tests.faketime import set_clock, start_with_clock
from tests.front import RECORD, Front, front
from tests.servers import wait_until

OTHER = b"another original"


def test_a_replace_shows_within_a_second_though_the_clock_was_set_back(tmp_path: Path) -> None:
    clock = tmp_path / "clock"
    with front(tmp_path / "front") as running:
        start_with_clock(running.nginx, clock)
        other = hashlib.sha256(OTHER).hexdigest()
        stored = running.originals / other[:2] / other[2:4] / other
        stored.parent.mkdir(parents=True)
        stored.write_bytes(OTHER)

        began = _now(running)
        set_clock(clock, -3600)
        # What nginx remembers now was learnt before the step; it looks at its clock every second.
        wait_until(lambda: _now(running) < began - timedelta(minutes=30), what="the step is seen")
        running.cache.publish(replace(RECORD, rev=2, sha256=other, size=len(OTHER)))

        wait_until(
            lambda: running.http.get("/image/read?id=7").content == OTHER,
            what="the new bytes",
            timeout_s=10,
        )


def _now(running: Front) -> datetime:
    return parsedate_to_datetime(running.http.get("/image/read?id=7").headers["Date"])
