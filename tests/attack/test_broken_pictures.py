"""Broken pictures, one after another: the probe, both engines and the whole API stay well.

A failure names its round; the same round gives the same bytes again.
"""

import functools
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import pyvips

from imagestore.engines import vips
from imagestore.errors import ImageInvalid, ImagestoreError
from imagestore.probe import probe
from imagestore.records import Facts
from imagestore.render import Renderer
from imagestore.rendition import Rendition
from imagestore.settings import Encoding, Limits
from tests.attack.mutations import broken, damaged, whole
from tests.attack.rounds import FUZZ
from tests.imagestack import ImageStack

LIMITS = Limits(render_timeout_s=20)
HANG_S = 60.0
"""Over the limit of one decode, on a slow machine."""

WISHES = [
    "width=9",
    "width=8&height=8&fit=cover&gravity=smart",
    "width=40&enlarge=1&format=webp",
    "format=png",
]
WISHES += ["crop=pct:10,10,50,50&rotate=90&format=jpeg", "width=12&blur=1&sharpen=1&grayscale=1&format=gif"]


@pytest.fixture(params=["auto", "wand"])
def renderer(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Renderer]:
    folders = {"scratch": tmp_path / "scratch", "slots": tmp_path / "slots"}
    renderer = Renderer(
        engine=request.param,
        processes=2,
        limits=LIMITS,
        encoding=Encoding(),
        queue=4,
        queue_timeout_s=HANG_S,
        **folders,
    )
    yield renderer
    renderer.close()


def well(number: int, data: bytes, attempt: Callable[[], object], folder: Path) -> None:
    """Fail unless the attempt ends soon, and with nothing worse than an error of ours that tells no path."""
    started = time.monotonic()
    told = f"round {number} ({data[:12]!r})"
    refused: ImagestoreError | None = None
    try:
        attempt()
    except ImagestoreError as error:
        refused = error
    except Exception as error:
        raise AssertionError(f"{told}: {error!r}") from error
    assert time.monotonic() - started < HANG_S, told
    assert refused is None or str(folder) not in refused.detail, told


def test_the_probe_gives_facts_or_an_error_of_ours(tmp_path: Path) -> None:
    path = tmp_path / "picture"

    for number, data in broken(300 * FUZZ, "probe"):
        path.write_bytes(data)
        well(number, data, lambda: probe(path, LIMITS), tmp_path)


def test_engines_give_a_picture_or_an_error_of_ours(renderer: Renderer, tmp_path: Path) -> None:
    path = tmp_path / "picture"

    def show(number: int) -> None:
        facts, _ = renderer.inspect(path, truncated_too=number % 2 == 0)
        wish = Rendition.parse(random.Random(number).choice(WISHES))
        assert renderer.render(path, facts, wish, None).body

    for number, data in broken(50 * FUZZ, "engines"):
        path.write_bytes(data)
        well(number, data, functools.partial(show, number), tmp_path)


@pytest.mark.parametrize("times", [None, 2, 4, 8])
def test_the_quick_look_refuses_what_a_decode_of_all_pixels_refuses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, times: int | None
) -> None:
    """Also when it keeps a picture that many `times` smaller."""
    monkeypatch.setattr(vips, "small_base_times", lambda facts: times)
    path, refused = tmp_path / "picture", 0

    for number, data in damaged(200 * FUZZ, "quick"):
        path.write_bytes(data)
        try:
            facts = probe(path, LIMITS)
        except ImagestoreError:
            continue
        for_all = breaks(pyvips.Error, decode_all, path, facts)
        look = functools.partial(vips.inspect, with_base=True)
        assert breaks(ImageInvalid, look, path, facts) == for_all, f"round {number}"
        refused += for_all

    # Of most kinds of damage a decoder notices nothing: so that the comparison means something.
    assert refused > 10


def decode_all(path: Path, facts: Facts) -> None:
    """As libvips does when every pixel of every frame is wanted."""
    pages = {"n": -1} if facts.format in ("gif", "webp") else {}
    loader = getattr(pyvips.Image, f"{facts.format}load")
    loader(str(path), access="sequential", fail_on="truncated", **pages).avg()


def breaks(error: type[Exception], attempt: Callable[..., object], *arguments: object) -> bool:
    try:
        attempt(*arguments)
    except error:
        return True
    return False


def test_the_api_stores_it_or_says_what_is_wrong_with_it(attacked: ImageStack) -> None:
    for number, data in broken(50 * FUZZ, "api"):
        answer = attacked.writer.put(f"/broken/{number}", content=data)
        assert answer.status_code in (200, 201, 415, 422), f"round {number}: {answer.text}"
        if answer.status_code < 300:
            wish = random.Random(number).choice(WISHES)
            shown = attacked.http.get(f"/image/read?id={answer.json()['id']}&{wish}")
            assert shown.status_code in (200, 400, 422), f"round {number} {wish}: {shown.text}"


def test_whole_pictures_are_still_taken(attacked: ImageStack) -> None:
    for number, data in enumerate(whole()[:20]):
        assert attacked.writer.put(f"/whole/{number}", content=data).status_code in (200, 201)
