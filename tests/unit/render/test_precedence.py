"""What share of the processors decoders get beside others."""

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import pytest

from imagestore.children import precedence, process
from imagestore.children.others import Others
from imagestore.render import Renderer
from tests.servers import wait_until
from tests.unit.render.decoding import Bench, decoders

BY_SESSION = Path("/proc/self/autogroup").exists()
"""Whether this kernel can share out processors by session."""


def niceness(pid: int) -> int:
    """The last word of `/autogroup-12 nice 10`."""
    return int(Path(f"/proc/{pid}/autogroup").read_text().split()[-1])


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other tests may be a crowd."""
    monkeypatch.setattr(Others, "are_a_crowd", False)


def gives_way(renderer: Renderer, picture: Path, *, far: bool = False) -> bool:
    """Whether its decoder's session does, after one more task: the kernel takes no two wishes within a tenth
    of a second."""
    renderer.inspect(picture)
    (decoder,) = decoders()
    return not BY_SESSION or niceness(decoder) == precedence.session_niceness(far=far)


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


@pytest.mark.parametrize(
    ("processors", "expected"), [(1, (7, 16)), (2, (10, 19)), (4, (13, 19)), (64, (19, 19))]
)
def test_session_of_one_busy_process_weighs_as_that_process(
    monkeypatch: pytest.MonkeyPatch, processors: int, expected: tuple[int, int]
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: processors)

    assert (precedence.session_niceness(far=False), precedence.session_niceness(far=True)) == expected


def test_before_a_crowd_a_decoder_gives_way_further_and_lets_it_pass(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precedence, "PASS_S", 0.3)
    renderer, picture = bench.renderer(), bench.picture("nothing")
    wait_until(lambda: gives_way(renderer, picture), what="the session gives way")
    monkeypatch.setattr(Others, "are_a_crowd", True)
    began = time.monotonic()

    wait_until(lambda: gives_way(renderer, picture, far=True), what="it gives way further")

    assert time.monotonic() - began >= 0.3


def test_beside_a_crowd_fewer_work_at_once(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Others, "leave", lambda others, count: 1)
    renderer, source = bench.renderer(), bench.picture("span 0.05")

    with ThreadPoolExecutor(4) as pool:
        spans = list(pool.map(lambda _: renderer.inspect(source)[1].seen, range(8)))

    spans.sort(key=lambda span: span["begin"])
    assert all(earlier["end"] <= later["begin"] for earlier, later in pairwise(spans))
