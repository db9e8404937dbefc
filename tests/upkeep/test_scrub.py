"""The scrub finds damage by itself, at a bounded rate, and goes on where it was."""

import logging
import time
from pathlib import Path

import pytest

from imagestore.errors import OriginalMissing
from imagestore.upkeep import scrub as scrubbing
from imagestore.upkeep.scrub import Scrub, Scrubbed, Stopped
from tests import pictures
from tests.servers import wait_until
from tests.taskstack import TaskStack, task_stack
from tests.upkeep.house import House


def scrub(
    home: House, *, bytes_per_s: float = 1e9, interval_s: float = 0, stop_after: int | None = None
) -> Scrub:
    beats: list[int] = []

    def beat() -> None:
        beats.append(1)
        if stop_after is not None and len(beats) > stop_after:
            raise Stopped

    return Scrub(
        home.parts.inventory,
        home.storage,
        home.parts.healer(),
        bytes_per_s=bytes_per_s,
        interval_s=interval_s,
        beat=beat,
    )


def note(home: House) -> Scrubbed:
    return Scrubbed.of(home.parts.inventory.note("scrub"))


def test_round_finds_damage_and_takes_it_out_of_sight(home: House, caplog: pytest.LogCaptureFixture) -> None:
    for number in range(10):
        home.store(b"whole %d" % number, f"{number}")
    changed, missing = home.store(b"changed", "changed"), home.store(b"missing", "missing")
    home.damage(changed.sha256, b"chanGed")
    home.storage.remove(missing.sha256)

    with caplog.at_level(logging.ERROR):
        assert scrub(home).slice()

    with pytest.raises(OriginalMissing):
        home.storage.stat(changed.sha256)
    for kind, image in (("content", changed), ("missing", missing)):
        assert f"scrub: {kind} sha256={image.sha256} image_id={image.id}" in caplog.text
    done = note(home)
    assert (done.cursor, done.last_originals, done.last_faults) == ("", 12, 2)
    assert done.bytes == 10 * len(b"whole 0") + len(b"changed")
    assert done.last_ended > 0


def test_scrub_goes_on_where_another_process_was(home: House, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(6):
        home.store(b"%d" % number, f"{number}")
    monkeypatch.setattr(scrubbing, "SLICE_S", -1.0)  # one original each time

    cursors = []
    for _ in range(6):
        scrub(home).slice()
        cursors.append(note(home).cursor)
    scrub(home).slice()

    assert cursors == sorted(home.stored())
    assert (note(home).cursor, note(home).last_originals, note(home).originals) == ("", 6, 6)


def test_next_round_waits_for_its_time(home: House) -> None:
    home.store(b"one", "one")

    rounds = [scrub(home, interval_s=3600).slice() for _ in range(2)]
    home.parts.inventory.keep_note(
        "scrub", {**home.parts.inventory.note("scrub"), "round_began": time.time() - 3700}
    )

    assert rounds == [True, False]
    assert scrub(home, interval_s=3600).slice()


def test_rate_is_bounded(home: House) -> None:
    for number in range(3):
        home.store(bytes([number]) * 500_000, f"{number}")
    began = time.monotonic()

    scrub(home, bytes_per_s=1_000_000).slice()

    # One and a half seconds' worth, of which one may come at once.
    assert time.monotonic() - began >= 0.4


def test_stop_is_heard_in_the_middle_of_a_file(home: House) -> None:
    home.store(bytes(5_000_000), "large")

    with pytest.raises(Stopped):
        scrub(home, bytes_per_s=100_000, stop_after=1).slice()

    assert note(home) == Scrubbed()


def metric(stack: TaskStack, name: str) -> float:
    for line in stack.http.get("/metrics").text.splitlines():
        if line.startswith(f"{name} "):
            return float(line.split()[1])
    return -1


def test_worker_scrubs_and_collects_and_tells_of_it(tmp_path: Path) -> None:
    env = {"SCRUB_INTERVAL_S": "0", "GC_INTERVAL_S": "1"}
    with task_stack(tmp_path / "tasks", **env) as stack:
        bodies = [pictures.photo(60, 40, seed=seed) for seed in (1, 2)]
        for number, body in enumerate(bodies):
            stored = stack.http.put(f"/scrubbed/{number}", content=body)
        sha256 = stored.json()["sha256"]
        path = stack.folder / "data" / "originals" / sha256[:2] / sha256[2:4] / sha256
        path.unlink()
        path.write_bytes(bodies[1][:-1] + b"?")
        stack.start_worker()

        wait_until(
            lambda: metric(stack, "imagestore_scrub_faults_total") >= 1,
            what="the fault is found",
            timeout_s=60,
        )

        assert not path.exists()
        answer = stack.http.get("/scrubbed/1")
        assert (answer.status_code, answer.json()["type"]) == (503, "/problems/storage-unavailable")
        assert f"scrub: content sha256={sha256}" in stack.log()
        assert stack.http.put("/scrubbed/1", content=bodies[1]).status_code == 200
        wait_until(
            lambda: metric(stack, "imagestore_scrub_round_faults") == 0,
            what="a round without faults",
            timeout_s=60,
        )
        wait_until(
            lambda: metric(stack, "imagestore_collection_age_seconds") >= 0, what="a collection", timeout_s=60
        )
        assert metric(stack, "imagestore_scrubbed_originals_total") >= 2
        assert stack.stop_workers() == [0]
