"""What share of the processors decoders get beside others."""

import os
import threading
from pathlib import Path

import pytest

from imagestore.children import precedence, process
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


@pytest.mark.parametrize(("processors", "expected"), [(1, 7), (2, 10), (4, 13), (64, 19)])
def test_session_of_one_busy_process_weighs_as_that_process(
    monkeypatch: pytest.MonkeyPatch, processors: int, expected: int
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: processors)

    assert precedence.session_niceness() == expected
