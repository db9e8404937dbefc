"""Broken pictures, one after another: the probe, both engines and the whole API stay well.

A failure names its round; the same round gives the same bytes again.
"""

import functools
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from imagestore.errors import ImagestoreError
from imagestore.probe import probe
from imagestore.render import Renderer
from imagestore.rendition import Rendition
from imagestore.settings import Encoding, Limits
from tests.attack.mutations import broken, whole
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
