"""What the benchmarks say of their figures."""

import http.server
import itertools
import json
import os
import queue
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

import bench.__main__
from bench import frombases
from bench.asking import ask
from bench.cold import LARGE_PIXELS, Kind
from bench.engines import _pillow, looks
from bench.fresh import WIDTHS, passes, sizes
from bench.likeness import likeness
from bench.options import MADE_UP, Options
from bench.processes import cpu_s
from bench.report import Bar, Result, as_json, markdown
from bench.statistics import Series, alternate
from bench.upload import named
from imagestore.engines.geometry import make_plan
from imagestore.records import Facts
from imagestore.rendition import Rendition
from tests import pictures
from tests.servers import ROOT

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


def test_further_sizes_are_measured_of_two_made_up_photos() -> None:
    assert [width * height >= LARGE_PIXELS for width, height in MADE_UP] == [False, True, True]


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


@pytest.mark.parametrize("width", [300, 1200])
def test_no_size_of_a_class_comes_twice(width: int) -> None:
    seen = list(itertools.islice(sizes(width), 5000))

    assert len(set(seen)) == 5000
    assert {size.width for size in seen} == set(WIDTHS[width])
    assert len({Rendition.parse(f"width={size.width}&height={size.height}").key for size in seen}) == 5000


@pytest.mark.parametrize("width", [300, 1200])
def test_sizes_in_a_row_are_as_large_as_all(width: int) -> None:
    first = [size.width for size in itertools.islice(sizes(width), 10)]

    assert sum(first) / 10 == pytest.approx(width, rel=0.05)


@pytest.mark.parametrize("facts", [Facts("jpeg", 5433, 3621), Facts("jpeg", 4000, 3000, orientation=6)])
def test_height_of_a_size_changes_nothing_in_the_picture(facts: Facts) -> None:
    for width in WIDTHS:
        for size in itertools.islice(sizes(width), 1000):
            wish = Rendition(width=size.width)

            assert make_plan(facts, replace(wish, height=size.height)) == make_plan(facts, wish)


def test_load_of_some_time_ends_with_a_whole_pass() -> None:
    once = list(passes(lambda: "abc", 0))
    often = list(passes(lambda: "abc", 0.02))

    assert once == ["a", "b", "c"]
    assert len(often) > 3
    assert often == once * (len(often) // 3)


def test_each_request_of_a_generator_is_sent_once() -> None:
    seen = queue.SimpleQueue[str]()

    class Answering(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            seen.put(self.path)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answering) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        answers = ask(f"http://127.0.0.1:{server.server_port}/{number}" for number in range(50))
        server.shutdown()
        thread.join()

    assert answers.statuses == [200] * 50
    assert sorted(int(seen.get().removeprefix("/")) for _ in range(seen.qsize())) == list(range(50))


@pytest.mark.parametrize("orientation", [1, 6])
def test_pillow_makes_what_the_others_make(tmp_path: Path, orientation: int) -> None:
    path = pictures.oriented(pictures.quadrants(400, 300), orientation).put(tmp_path)

    made = pictures.opened(_pillow(path, Kind(120, "png")))

    assert made.size == (120, 90)
    assert pictures.corners(made) == list(pictures.QUADRANTS)


def test_engines_have_one_thread_and_leave_the_servers_alone(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(pictures.photo(200, 150))
    words = f"""
import os, pathlib
before = dict(os.environ)
import bench.__main__, pyvips
from bench import engines, options, presets
folder = pathlib.Path({str(tmp_path)!r})
presets.measure(options.Options(folder, folder, 1, 1, 1))
engines.prepared_wand()
from wand.resource import limits
print(pyvips.concurrency_get(), limits["thread"], dict(os.environ) == before)
"""

    done = subprocess.run([sys.executable, "-c", words], cwd=ROOT, capture_output=True, text=True, check=True)

    assert done.stdout.split() == ["1", "1", "True"]


@pytest.mark.parametrize(
    ("there", "expected"),
    [
        (4_167_727, "5 MB"),
        (6_000_000, "5 MB"),
        (849_200, "5 MB (a photo of 849 KB)"),
        (6_000_001, "5 MB (a photo of 6,000 KB)"),
    ],
)
def test_size_of_an_upload_is_that_of_its_photo(there: int, expected: str) -> None:
    assert named("5 MB", 5_000_000, there) == expected


def test_sizes_from_both_bases_are_compared_with_those_from_the_original(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frombases, "LARGE_PIXELS", 2000 * 1500)
    photos = tmp_path / "photos"
    photos.mkdir()
    for name, size in {"large": (2000, 1500), "small": (200, 150)}.items():
        (photos / f"{name}.jpg").write_bytes(pictures.photo(*size))

    results = frombases.compare(Options(tmp_path, photos, 1, 1, 1))

    assert [result.part for result in results] == [
        "engines, 300 px JPEG from the large base, likeness",
        "engines, 1200 px JPEG from the large base, likeness",
        "engines, 300 px WEBP from the large base, likeness",
        "engines, 1200 px WEBP from the large base, likeness",
        "engines, 300 px JPEG from the small base, likeness",
        "engines, 300 px WEBP from the small base, likeness",
    ]
    for result in results:
        ((least, greatest),) = {result.ratio(bar).spread for bar in result.bars}
        assert 0.8 < least == greatest < 1


def test_likeness_is_1_for_the_same_and_little_for_another() -> None:
    one, other = (pictures.photo(200, 150, seed=seed) for seed in (1, 2))

    assert likeness(one, one) == 1
    assert likeness(one, other) < 0.5


def test_likeness_and_bytes_are_of_photos_that_lie_as_they_are_stored(tmp_path: Path) -> None:
    picture = pictures.texture(200, 150)
    paths = [pictures.oriented(picture, orientation).put(tmp_path) for orientation in (1, 6)]
    made = {"as it is": lambda path, kind: path.read_bytes()}

    likeness, size = looks(made, paths, Kind(200, "jpeg"))

    assert likeness.series["as it is"].values == (1,)
    assert size.series["as it is"].values == (paths[0].stat().st_size / 1000,)
    assert looks(made, paths[1:], Kind(200, "jpeg")) == []
