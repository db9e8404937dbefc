"""What share of the processors decoders get beside others."""

import os
import threading
from collections.abc import Mapping
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
    idle = os.sched_getscheduler(decoder) == os.SCHED_IDLE
    assert idle == precedence.shared_by_session()


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


@pytest.mark.parametrize(("processors", "expected"), [(1, 13), (2, 16), (4, 19), (64, 19)])
def test_session_of_one_busy_process_weighs_as_that_process(
    monkeypatch: pytest.MonkeyPatch, processors: int, expected: int
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: processors)

    assert precedence.session_niceness() == expected


ON = {"proc/sys/kernel/sched_autogroup_enabled": "1\n"}


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (ON | {"proc/self/cgroup": "3:cpuset:/a\n2:cpu,cpuacct:/\n0::/\n"}, True),
        (ON | {"proc/self/cgroup": "3:cpuset:/\n2:cpu,cpuacct:/docker/a\n"}, False),
        (ON | {"proc/self/cgroup": "0::/user.slice\n"}, True),
        (ON | {"proc/self/cgroup": "0::/a.slice\n", "sys/fs/cgroup/a.slice/cpu.weight": "100"}, False),
        (
            ON | {"proc/self/cgroup": "0::/a.slice/b.service\n", "sys/fs/cgroup/a.slice/cpu.weight": "1"},
            False,
        ),
        (ON | {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.weight": "100"}, False),
        ({"proc/sys/kernel/sched_autogroup_enabled": "0\n", "proc/self/cgroup": "0::/\n"}, False),
        ({"proc/self/cgroup": "0::/\n"}, False),
    ],
    ids=[
        "v1",
        "container v1",
        "v2",
        "service v2",
        "below one v2",
        "container v2",
        "switched off",
        "not in the kernel",
    ],
)
def test_sessions_count_where_no_control_group_does(
    files: Mapping[str, str], expected: bool, tmp_path: Path
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)

    assert precedence.shared_by_session(tmp_path) == expected


@pytest.mark.parametrize(
    ("ran_s", "waited_s", "expected"),
    [(0.1, 0.2, True), (0.1, 0.09, False), (0.001, 0.01, False), (0.001, 0.03, True)],
)
def test_who_waits_longer_than_he_runs_is_starved(
    monkeypatch: pytest.MonkeyPatch, ran_s: float, waited_s: float, expected: bool
) -> None:
    began = {"1": (5.0, 7.0), "2": (1.0, 1.0)}
    seen = iter([began, {"1": (5.0 + ran_s / 2, 7.0), "3": (ran_s / 2, waited_s)}])
    monkeypatch.setattr(precedence, "_ran_and_waited_s", lambda: next(seen))

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
