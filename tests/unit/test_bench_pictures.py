"""What the benchmarks ask for, and how they judge pictures."""

import http.server
import itertools
import queue
import subprocess
import sys
import threading
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest

from bench import frombases
from bench.asking import ask
from bench.cold import LARGE_PIXELS, Kind
from bench.engines import _ours, looks, pillow
from bench.fresh import WIDTHS, passes, sizes
from bench.likeness import likeness
from bench.options import MADE_UP, Options
from bench.upload import named
from imagestore.engines import vips
from imagestore.engines.geometry import make_plan
from imagestore.records import Facts
from imagestore.rendition import Rendition
from tests import pictures
from tests.servers import ROOT


def test_further_sizes_are_measured_of_two_made_up_photos() -> None:
    assert [width * height >= LARGE_PIXELS for width, height in MADE_UP] == [False, True, True]


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


def test_load_of_some_time_ends_with_a_whole_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.fresh.time", SimpleNamespace(monotonic=partial(next, itertools.count())))

    once, often = (list(passes(lambda: "abc", seconds)) for seconds in (0, 2.5))

    assert once == list("abc")
    assert often == list("abcabcabc")


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
def testpillow_makes_what_the_others_make(tmp_path: Path, orientation: int) -> None:
    path = pictures.oriented(pictures.quadrants(400, 300), orientation).put(tmp_path)

    made = pictures.opened(pillow(path, Kind(120, "png")))

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


def test_likeness_and_bytes_are_medians_over_the_photos(tmp_path: Path) -> None:
    paths = [pictures.oriented(pictures.texture(200, 150), turn).put(tmp_path) for turn in (1, 6, 8)]

    likeness, size = looks({"ours": partial(_ours, vips), "Pillow": pillow}, paths, Kind(100, "jpeg"))

    for who in ("ours", "Pillow"):
        assert 0.9 < likeness.series[who].median <= 1
        assert 1 < size.series[who].median < 20
