"""Several pictures of one original from one decode, in both engines."""

import io
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image
from skimage.metrics import structural_similarity

from imagestore.engines import Batch, Mark, Wish
from imagestore.errors import ImageInvalid, InvalidParameter
from imagestore.records import Picture
from imagestore.rendition import Rendition
from imagestore.settings import Encoding
from tests import pictures
from tests.pictures import BLUE, GREEN, RED, Sample, corners, near

PHOTO = pictures.encode(pictures.texture(1400, 1000), "jpeg")
DETAIL = pictures.encode(Image.effect_noise((1400, 1000), 60).convert("RGB"), "jpeg")


def render_all(engine: ModuleType, folder: Path, sample: Sample, queries: Sequence[str]) -> Batch:
    wishes = [Wish(Rendition.parse(query)) for query in queries]
    batch: Batch = engine.render_all(sample.put(folder), sample.facts, wishes, Encoding())
    return batch


def opened(result: object) -> Image.Image:
    assert isinstance(result, Picture)
    return Image.open(io.BytesIO(result.body))


def test_pictures_made_together_are_those_made_alone(engine: ModuleType, tmp_path: Path) -> None:
    queries = [
        "width=60&height=60&fit=cover&format=png",
        "width=600&format=png",
        "width=150&format=png&grayscale=1",
        "crop=100,100,300,200&format=png",
        "width=90&rotate=90&format=png",
        "width=600&format=png&blur=2",
    ]

    batch = render_all(engine, tmp_path, PHOTO, queries)

    assert batch.decodes == 1
    for query, result in zip(queries, batch.results, strict=True):
        alone = engine.render(PHOTO.put(tmp_path), PHOTO.facts, Rendition.parse(query), None, Encoding())
        one, other = opened(result), opened(alone)
        assert one.size == other.size, query
        difference = np.abs(np.asarray(one.convert("RGB"), float) - np.asarray(other.convert("RGB")))
        assert difference.mean() < 1.5, query


@pytest.mark.parametrize("queries", [("width=480", "width=1280"), ("width=1280", "width=480")])
def test_large_picture_is_not_made_from_what_is_enough_for_a_small_one(
    engine: ModuleType, tmp_path: Path, queries: Sequence[str]
) -> None:
    # A decoder of JPEG may halve 1400 pixels for 480 and not for 1280; means of blocks may for neither.
    large = "width=1280&format=png"

    batch = render_all(engine, tmp_path, DETAIL, [f"{query}&format=png" for query in queries])

    alone = engine.render(DETAIL.put(tmp_path), DETAIL.facts, Rendition.parse(large), None, Encoding())
    together = batch.results[queries.index("width=1280")]
    one, other = (np.asarray(opened(each).convert("L")) for each in (together, alone))
    # It was 0.33 when both were made from 700 pixels.
    assert structural_similarity(one, other) > 0.98


def test_widths_of_a_page_are_as_good_as_from_all_pixels(engine: ModuleType, tmp_path: Path) -> None:
    # Sides that no small number divides: blocks at the edges would be partly empty, and move the picture.
    texture = pictures.texture(1449, 965)
    widths = (1280, 960, 640, 320, 150)

    batch = render_all(
        engine, tmp_path, pictures.encode(texture, "png"), [f"width={w}&format=png" for w in widths]
    )

    for width, result in zip(widths, batch.results, strict=True):
        made = opened(result)
        best = texture.resize(made.size, Image.Resampling.LANCZOS)
        one, other = (np.asarray(each.convert("L")) for each in (made, best))
        # It was 0.975 at 150 px when each was made from the frame in memory, whose blocks were averaged.
        assert structural_similarity(one, other) > 0.995, width


@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_pictures_made_together_are_upright(engine: ModuleType, tmp_path: Path, orientation: int) -> None:
    sample = pictures.oriented(pictures.quadrants(480, 320), orientation)

    batch = render_all(engine, tmp_path, sample, ["width=240", "width=48", "width=24&format=png"])

    assert batch.decodes == 1
    for result, width in zip(batch.results, (240, 48, 24), strict=True):
        image = opened(result)
        assert image.size == (width, width * 2 // 3)
        assert corners(image) == list(pictures.QUADRANTS)


def test_one_that_fails_stops_no_other(engine: ModuleType, tmp_path: Path) -> None:
    broken = pictures.encode(pictures.plain(RED, 20, 10), "jpeg")
    path = tmp_path / "mark"
    path.write_bytes(b"\xff\xd8\xff" + bytes(100))
    mark = Mark(path, broken.facts, "southeast", 1.0, None, 10)
    wishes = [
        Wish(Rendition.parse("width=100")),
        Wish(Rendition.parse("crop=5000,5000,10,10")),
        Wish(Rendition.parse("width=100&watermark=x"), mark),
        Wish(Rendition.parse("width=50&format=webp")),
    ]

    batch = engine.render_all(PHOTO.put(tmp_path), PHOTO.facts, wishes, Encoding())

    kinds = [type(result) for result in batch.results]
    assert kinds == [Picture, InvalidParameter, ImageInvalid, Picture]
    assert batch.decodes == 1


def test_broken_original_is_the_fate_of_all(engine: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "broken"
    path.write_bytes(b"\xff\xd8\xff" + bytes(100))

    batch = engine.render_all(path, PHOTO.facts, [Wish(Rendition(width=n)) for n in (10, 20)], Encoding())

    assert [type(result) for result in batch.results] == [ImageInvalid] * 2


@pytest.mark.parametrize("format_", ["gif", "webp"])
def test_animations_and_stills_of_one_original(engine: ModuleType, tmp_path: Path, format_: str) -> None:
    sample = pictures.animation(format_, [RED, GREEN, BLUE])

    batch = render_all(
        engine, tmp_path, sample, ["width=30", "width=20", "width=20&format=jpeg", "width=10&format=png"]
    )

    # The frames once for the animations, the first frame once for the stills.
    assert batch.decodes == 2
    for result, width in zip(batch.results[:2], (30, 20), strict=True):
        image = opened(result)
        assert (image.size[0], getattr(image, "n_frames", 1)) == (width, 3)
        for number, colour in enumerate((RED, GREEN, BLUE)):
            image.seek(number)
            assert near(image, (width - 4, 8), colour, 12)
    assert near(opened(batch.results[2]), (16, 8), RED, 12)


def test_transparency_survives(engine: ModuleType, tmp_path: Path) -> None:
    image = pictures.plain((*RED, 255), 400, 300)
    image.paste((0, 0, 0, 0), (200, 0, 400, 300))
    sample = pictures.encode(image, "png")

    batch = render_all(engine, tmp_path, sample, ["width=40", "width=10", "width=20&format=jpeg"])

    small = opened(batch.results[1])
    assert near(small, (1, 3), (*RED, 255))
    assert near(small, (8, 3), (*RED, 0)) or near(small, (8, 3), (0, 0, 0, 0))
    assert near(opened(batch.results[2]), (17, 7), (255, 255, 255))


def test_frame_too_large_to_hold_is_decoded_for_each(
    engine: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "_MAX_HELD_PIXELS", 400_000)

    batch = render_all(engine, tmp_path, PHOTO, ["width=1200", "width=200", "width=100", "width=1400"])

    assert [opened(result).size[0] for result in batch.results] == [1200, 200, 100, 1400]
    assert batch.decodes == 3
