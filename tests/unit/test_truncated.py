"""Pictures that were cut short on their way: what decoders make of what did arrive."""

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from imagestore.engines import Inspection, Wish
from imagestore.errors import ImageInvalid
from imagestore.records import Picture
from imagestore.render import Renderer
from imagestore.rendition import Rendition
from imagestore.settings import Encoding, Limits
from tests import pictures
from tests.pictures import BLUE, GREEN, RED, Sample, near

SMALL = Rendition(width=60, format="png")


@pytest.fixture(scope="module")
def renderer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Renderer]:
    made = a_renderer(tmp_path_factory.mktemp("renderer"), "auto")
    yield made
    made.close()


def a_renderer(folder: Path, engine: str) -> Renderer:
    return Renderer(
        engine=engine,
        processes=2,
        limits=Limits(render_timeout_s=30),
        encoding=Encoding(),
        queue=9,
        queue_timeout_s=30,
        scratch=folder / "scratch",
        slots=folder / "slots",
    )


def shown(renderer: Renderer, sample: Sample, folder: Path) -> Image.Image:
    """A thumbnail of what there is of it; the same alone and together with others."""
    path = sample.put(folder)
    facts, inspection = renderer.inspect(path, truncated_too=True)
    assert facts.truncated
    assert (facts.format, facts.width, facts.height) == (
        sample.facts.format,
        sample.facts.width,
        sample.facts.height,
    )
    assert inspection == Inspection({"truncated": True})
    together = renderer.render_all(path, facts, [Wish(SMALL), Wish(Rendition(width=30))])
    alone = renderer.render(path, facts, SMALL, None)
    assert all(isinstance(each, Picture) for each in together)
    assert together[0] == alone
    return Image.open(io.BytesIO(alone.body))


@pytest.mark.parametrize("format", ["jpeg", "png", "gif", "webp", "tiff", "bmp"])
@pytest.mark.parametrize("part", [0.5, 0.95])
def test_upper_part_of_the_picture_is_shown(
    renderer: Renderer, tmp_path: Path, format: str, part: float
) -> None:
    # Row after row, which Pillow's GIF is not by itself.
    options = {"interlace": 0} if format == "gif" else {}
    whole = pictures.encode(pictures.texture(), format, **options)

    image = shown(renderer, whole.cut(part), tmp_path)

    expected = np.asarray(pictures.opened(whole.data).convert("RGB").resize((60, 45)), float)
    difference = np.abs(np.asarray(image.convert("RGB"), float) - expected)
    if format == "bmp":
        # Its rows go from the bottom up.
        difference = difference[::-1]
    # Of a lossy WebP with its last half missing, a third is as it was.
    assert difference[: int(45 * part * 0.6)].mean() < 16


@pytest.mark.parametrize("format", ["gif", "webp"])
def test_whole_frames_of_an_animation_are_shown(renderer: Renderer, tmp_path: Path, format: str) -> None:
    whole = pictures.animation(format, [RED, GREEN, BLUE], size=(60, 40))
    path = whole.cut(0.97).put(tmp_path)

    facts, _ = renderer.inspect(path, truncated_too=True)
    picture = renderer.render(path, facts, Rendition(width=30), None)

    image = Image.open(io.BytesIO(picture.body))
    for number, colour in enumerate((RED, GREEN)):
        image.seek(number)
        assert near(image, (26, 4), colour, 12)


def test_truncated_avif_is_shown_or_refused(renderer: Renderer, tmp_path: Path) -> None:
    """libheif hands out what its decoder made of the part, or not, by its version."""
    whole = pictures.encode(pictures.texture(), "avif")
    path = whole.cut(0.7).put(tmp_path)

    try:
        renderer.inspect(path, truncated_too=True)
    except ImageInvalid:
        return

    assert shown(renderer, whole.cut(0.7), tmp_path).size == (60, 45)


@pytest.mark.parametrize("format", ["jpeg", "png", "gif", "webp", "tiff", "bmp", "avif"])
def test_cut_before_the_pixels_is_refused(renderer: Renderer, tmp_path: Path, format: str) -> None:
    path = tmp_path / "cut"
    path.write_bytes(pictures.encode(pictures.texture(), format).data[:24])

    with pytest.raises(ImageInvalid):
        renderer.inspect(path, truncated_too=True)


@pytest.mark.parametrize("format", ["jpeg", "png", "gif", "webp", "tiff", "bmp", "avif"])
def test_without_leave_every_truncated_picture_is_refused(
    renderer: Renderer, tmp_path: Path, format: str
) -> None:
    path = pictures.encode(pictures.texture(), format).cut(0.9).put(tmp_path)

    with pytest.raises(ImageInvalid):
        renderer.inspect(path)


@pytest.mark.parametrize("format", ["jpeg", "webp", "tiff", "bmp"])
def test_imagemagick_alone_shows_what_there_is(tmp_path: Path, format: str) -> None:
    renderer = a_renderer(tmp_path, "wand")

    try:
        image = shown(renderer, pictures.encode(pictures.texture(), format).cut(0.7), tmp_path)
    finally:
        renderer.close()

    assert image.size == (60, 45)
