"""What the benchmarks say of their figures."""

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import bench.__main__
from bench.options import Options
from bench.processes import cpu_s
from bench.report import Bar, Result, as_json, markdown
from bench.statistics import Series, alternate

HOT = Result(
    "hot",
    "req/s",
    {"ours": Series((900.0, 80.0, 850.0)), "nginx": Series((1000.0, 100.0, 1000.0))},
    (Bar("ours", "nginx", at_least=0.85), Bar("nginx", "ours", at_most=1.1), Bar("nginx", "ours")),
)


def test_one_disturbed_round_moves_neither_median_nor_ratio() -> None:
    ours, nginx = HOT.series["ours"], HOT.series["nginx"]

    ratio = ours.over(nginx)

    assert (ours.median, ours.spread) == (850, (80, 900))
    assert ratio.values == pytest.approx((0.9, 0.8, 0.85))
    assert ratio.median == pytest.approx(0.85)


def test_a_series_without_a_round_is_refused() -> None:
    with pytest.raises(ValueError, match="needs a value"):
        Series(())


def test_series_of_different_rounds_are_not_compared() -> None:
    with pytest.raises(ValueError, match="shorter"):
        Series((1.0, 2.0)).over(Series((1.0,)))


def test_contestants_are_asked_in_turn() -> None:
    asked: list[str] = []

    seen = alternate({name: lambda name=name: asked.append(name) or len(asked) for name in "ab"}, 2)

    assert asked == ["a", "b", "a", "b"]
    assert seen == {"a": [1, 3], "b": [2, 4]}


def test_table_shows_each_ratio_with_its_bar_and_verdict() -> None:
    lines = markdown([HOT], "a machine").splitlines()

    assert "| ours | 850 | 80 to 900 | 3 |" in lines
    assert "| ours / nginx | 0.85 | 0.80 to 0.90 | >= 0.85 | pass |" in lines
    assert "| nginx / ours | 1.18 | 1.11 to 1.25 | <= 1.1 | **fail** |" in lines
    assert "| nginx / ours | 1.18 | 1.11 to 1.25 |  |  |" in lines


def test_json_holds_every_round_and_every_verdict() -> None:
    (result,) = json.loads(as_json([HOT], "a machine"))["results"]

    assert result["values"]["ours"] == [900, 80, 850]
    assert [bar["passed"] for bar in result["bars"]] == [True, False, None]
    first = result["bars"][0]
    assert (first["least"], first["ratio"], first["greatest"]) == pytest.approx((0.8, 0.85, 0.9))


def test_processor_time_counts_children_that_run_and_those_that_ended() -> None:
    burn = "import time\nwhile time.process_time() < 0.3: pass\n"
    ends = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {burn!r}])\n"
    lives = "print('done', flush=True); sys.stdin.read()"
    before = cpu_s(os.getpid())
    with subprocess.Popen(
        [sys.executable, "-c", ends + burn + lives], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"done\n"

        spent, of_all = cpu_s(child.pid), cpu_s(os.getpid()) - before

        assert 0.55 <= spent <= 3
        assert of_all >= spent - 0.02
        child.communicate()


def test_processor_time_of_a_millisecond_is_seen() -> None:
    before = cpu_s(os.getpid())
    began = time.process_time()
    while time.process_time() - began < 0.001:
        pass
    burnt = time.process_time() - began

    spent = cpu_s(os.getpid()) - before

    assert spent >= burnt


def test_processor_time_of_a_thread_that_has_ended_stays() -> None:
    def burn() -> None:
        while time.thread_time() < 0.005:
            pass

    before = cpu_s(os.getpid())
    thread = threading.Thread(target=burn)
    thread.start()
    thread.join()

    assert cpu_s(os.getpid()) - before >= 0.005


def test_processor_time_of_a_process_that_is_gone_is_none() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        pass

    assert cpu_s(child.pid) == 0


def test_what_was_measured_is_kept_when_a_later_part_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(options: Options) -> list[Result]:
        raise RuntimeError("this part fails")

    monkeypatch.setattr(bench.__main__, "RESULTS", tmp_path)
    monkeypatch.setattr(bench.__main__, "PARTS", {"hot": lambda options: [HOT], "cold": fail})
    monkeypatch.setattr(sys, "argv", ["bench"])

    with pytest.raises(RuntimeError, match="this part fails"):
        bench.__main__.main()

    (kept,) = json.loads((tmp_path / "results.json").read_text())["results"]
    assert kept["part"] == "hot"
