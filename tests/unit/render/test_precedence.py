"""What share of the processors decoders get beside others."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import pytest

from imagestore.children import precedence, process, slots
from imagestore.render import Renderer
from tests.servers import wait_until
from tests.unit.render.decoding import Bench, decoders

BY_SESSION = Path("/proc/self/autogroup").exists()
"""Whether this kernel can share out processors by session."""


def niceness(pid: int) -> int:
    """The last word of `/autogroup-12 nice 10`."""
    return int(Path(f"/proc/{pid}/autogroup").read_text().split()[-1])


def gives_way(renderer: Renderer, picture: Path) -> bool:
    """Whether its decoder's session does, after one more task: the kernel takes no two wishes within a tenth
    of a second."""
    renderer.inspect(picture)
    (decoder,) = decoders()
    return not BY_SESSION or niceness(decoder) == precedence.session_niceness()


def test_decoder_gives_way_to_all_other_sessions(bench: Bench) -> None:
    renderer, picture = bench.renderer(), bench.picture("nothing")

    wait_until(lambda: gives_way(renderer, picture), what="the session gives way")

    (decoder,) = decoders()
    assert os.getsid(decoder) == decoder
    ours = os.getpriority(os.PRIO_PROCESS, 0)
    assert os.getpriority(os.PRIO_PROCESS, decoder) == min(19, ours + precedence.NICENESS)


def test_task_that_takes_long_insists_and_the_next_one_gives_way(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "INSIST_AFTER_S", 0.05)
    monkeypatch.setattr(process, "INSIST_EVERY_S", 0.05)
    renderer, picture, marker = bench.renderer(), bench.picture("nothing"), bench.folder / "go"
    wait_until(lambda: gives_way(renderer, picture), what="the session gives way")
    (decoder,) = decoders()
    slow = threading.Thread(target=renderer.inspect, args=(bench.picture(f"wait-for {marker}"),))
    slow.start()

    wait_until(
        lambda: not BY_SESSION or niceness(decoder) == 0,
        what="the session insists",
    )

    marker.touch()
    slow.join()
    wait_until(lambda: gives_way(renderer, picture), what="the session gives way again")


@pytest.mark.parametrize(("processors", "expected"), [(1, 16), (2, 19), (4, 19), (64, 19)])
def test_session_of_one_busy_process_weighs_as_that_process(
    monkeypatch: pytest.MonkeyPatch, processors: int, expected: int
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: processors)

    assert precedence.session_niceness() == expected


@pytest.mark.parametrize(
    ("ran_s", "waited_s", "expected"),
    [(0.1, 0.21, True), (0.1, 0.19, False), (0.001, 0.09, False), (0.001, 0.11, True)],
)
def test_who_waits_longer_than_he_runs_is_starved(
    monkeypatch: pytest.MonkeyPatch, ran_s: float, waited_s: float, expected: bool
) -> None:
    began = {"1": (5.0, 7.0), "2": (1.0, 1.0)}
    seen = iter([began, {"1": (5.0 + ran_s / 2, 7.0), "3": (ran_s / 2, waited_s)}])
    monkeypatch.setattr(precedence, "_ran_and_waited_s", lambda: next(seen))
    monkeypatch.setattr(precedence, "_idle_s", lambda: 0.0)

    assert precedence.Turns().starved == expected


def test_a_thread_that_ends_hides_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precedence, "_THREADS", tmp_path)
    for thread in ("1", "2", "3"):
        (tmp_path / thread).mkdir()
    monkeypatch.setattr(os, "listdir", lambda _: ["2", "1", "3"])
    for thread in ("1", "3"):
        (tmp_path / thread / "schedstat").write_text("1000000000 2000000000 7\n")

    assert precedence._ran_and_waited_s() == {"1": (1.0, 2.0), "3": (1.0, 2.0)}


@pytest.mark.parametrize(("idle_s", "expected"), [(0.15, True), (0.25, False)])
def test_nobody_starves_beside_an_idle_processor(
    monkeypatch: pytest.MonkeyPatch, idle_s: float, expected: bool
) -> None:
    waited, idle, clock = iter([{}, {"1": (0.2, 0.8)}]), iter([9.0, 9.0 + idle_s]), iter([1.0, 2.0])
    monkeypatch.setattr(precedence, "_ran_and_waited_s", lambda: next(waited))
    monkeypatch.setattr(precedence, "_idle_s", lambda: next(idle))
    monkeypatch.setattr(precedence.time, "monotonic", lambda: next(clock))
    monkeypatch.setattr(os, "cpu_count", lambda: 2)

    assert precedence.Turns().starved == expected


def test_after_a_starved_task_half_as_many_work_at_once(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slots, "_NARROW_S", 60)
    renderer, source = bench.renderer(), bench.picture("span 0.05")
    renderer.inspect(bench.picture("starve"))

    with ThreadPoolExecutor(4) as pool:
        spans = list(pool.map(lambda _: renderer.inspect(source)[1].seen, range(8)))

    spans.sort(key=lambda span: span["begin"])
    assert all(earlier["end"] <= later["begin"] for earlier, later in pairwise(spans))
