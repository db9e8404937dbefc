"""What both engines make: sizes, formats, turns, animations. Pillow, which neither uses, reads it back."""

import io
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from imagestore.engines import Mark, vips, wand
from imagestore.errors import InvalidParameter, UnsupportedMediaType
from imagestore.records import Facts
from imagestore.rendition import Rendition
from imagestore.settings import Encoding
from tests import pictures
from tests.pictures import BLUE, GREEN, LOSSY, QUADRANTS, RED, Sample, corners, near

Render = Callable[..., Image.Image]


@pytest.mark.parametrize(
    ("query", "size"),
    [
        ("width=60", (60, 40)),
        ("height=60", (90, 60)),
        ("width=60&height=60", (60, 40)),
        ("width=60&height=60&fit=outside", (90, 60)),
        ("width=60&height=60&fit=cover", (60, 60)),
        ("width=60&height=60&fit=cover&gravity=smart", (60, 60)),
        ("width=60&height=60&fit=pad", (60, 60)),
        ("width=60&height=60&fit=stretch", (60, 60)),
        ("width=240&height=240", (120, 80)),
        ("width=240&height=240&enlarge=1", (240, 160)),
        ("width=240&height=240&fit=cover", (80, 80)),
        ("width=240&height=240&fit=pad", (240, 240)),
        ("width=240&height=20&fit=stretch", (120, 20)),
        ("width=33&height=21&fit=cover&rotate=90", (33, 21)),
        ("crop=10,10,50,30", (50, 30)),
        ("rotate=270", (80, 120)),
        ("width=1", (1, 1)),
    ],
)
def test_picture_has_the_size_that_was_asked_for(render: Render, query: str, size: tuple[int, int]) -> None:
    image = render(pictures.encode(pictures.quadrants(120, 80), "jpeg"), query)

    assert image.size == size


@pytest.mark.parametrize("width", [1199, 1200, 1201, 1600, 2399, 3001])
def test_size_is_exact_after_shrink_on_load(render: Render, width: int) -> None:
    image = render(
        pictures.encode(pictures.plain(BLUE, width, width // 2), "jpeg"), "width=77&height=77&fit=stretch"
    )

    assert image.size == (77, 77)
    assert near(image, (76, 76), BLUE)


@pytest.mark.parametrize(
    ("original", "query", "format"),
    [
        ("jpeg", "width=20", "JPEG"),
        ("png", "width=20", "PNG"),
        ("webp", "width=20", "WEBP"),
        ("gif", "width=20", "GIF"),
        ("avif", "width=20", "AVIF"),
        ("tiff", "width=20", "JPEG"),
        ("jpeg", "format=auto", "JPEG"),
        ("webp", "format=auto", "JPEG"),
        ("gif", "format=auto", "PNG"),
        ("jpeg", "format=auto-webp", "WEBP"),
        ("jpeg", "format=auto-avif", "AVIF"),
        ("jpeg", "format=png", "PNG"),
        ("png", "format=jpeg", "JPEG"),
        ("jpeg", "format=gif", "GIF"),
        ("jpeg", "format=webp", "WEBP"),
        ("jpeg", "format=avif", "AVIF"),
    ],
)
def test_formats_are_read_and_written(render: Render, original: str, query: str, format: str) -> None:
    image = render(pictures.encode(pictures.plain(GREEN), original), query)

    assert image.format == format
    assert near(image, (10, 10), GREEN, LOSSY + 2)


@pytest.mark.parametrize(("format", "expected"), [("bmp", "JPEG"), ("heic", "JPEG")])
def test_formats_without_vips_are_left_to_wand(tmp_path: Path, format: str, expected: str) -> None:
    sample = heic(BLUE) if format == "heic" else pictures.encode(pictures.plain(BLUE), format)

    with pytest.raises(UnsupportedMediaType):
        vips.render(sample.put(tmp_path), sample.facts, Rendition.parse("width=20"), None, Encoding())
    picture = wand.render(sample.put(tmp_path), sample.facts, Rendition.parse("width=20"), None, Encoding())

    assert format in wand.READS - vips.READS
    image = Image.open(io.BytesIO(picture.body))
    assert (image.format, image.size) == (expected, (20, 15))
    assert near(image, (10, 8), BLUE)


def heic(colour: tuple[int, int, int]) -> Sample:
    """Written by ImageMagick, since nothing else here has an HEVC encoder."""
    from wand.image import Image as WandImage

    with WandImage.from_array(np.asarray(pictures.plain(colour))) as image:
        return Sample(bytes(image.make_blob("heic")), Facts("heic", 64, 48))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("query", ["width=60", "format=png", "width=30&height=30&fit=pad"])
def test_every_orientation_comes_out_upright(render: Render, orientation: int, query: str) -> None:
    image = render(pictures.oriented(pictures.quadrants(120, 80), orientation), query)

    if "pad" not in query:
        assert corners(image) == ["northwest", "northeast", "southwest", "southeast"]
        assert image.width * 2 == image.height * 3
    assert image.getexif().get(0x0112, 1) == 1


def test_webp_orientation_counts_too(render: Render) -> None:
    image = render(pictures.oriented(pictures.quadrants(120, 80), 6, "webp"), "width=60")

    assert image.size == (60, 40)
    assert corners(image) == list(QUADRANTS)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("rotate=90", ["southwest", "northwest", "southeast", "northeast"]),
        ("rotate=180", ["southeast", "southwest", "northeast", "northwest"]),
        ("rotate=270", ["northeast", "southeast", "northwest", "southwest"]),
        ("flip=h", ["northeast", "northwest", "southeast", "southwest"]),
        ("flip=v", ["southwest", "southeast", "northwest", "northeast"]),
        ("rotate=90&flip=h", ["northwest", "southwest", "northeast", "southeast"]),
        ("crop=60,0,60,40", ["northeast"] * 4),
        ("crop=0,40,60,40&width=20", ["southwest"] * 4),
        ("crop=pct:50,50,50,50", ["southeast"] * 4),
        ("width=30&height=60&fit=cover&gravity=west", ["northwest", "northwest", "southwest", "southwest"]),
        ("width=30&height=60&fit=cover&gravity=1,0.5", ["northeast", "northeast", "southeast", "southeast"]),
    ],
)
@pytest.mark.parametrize("orientation", [1, 6])
def test_turns_and_cuts_move_the_quadrants(
    render: Render, query: str, expected: list[str], orientation: int
) -> None:
    image = render(pictures.oriented(pictures.quadrants(120, 80), orientation), query)

    assert corners(image) == expected


def test_crop_outside_the_picture_is_refused(render: Render) -> None:
    with pytest.raises(InvalidParameter, match="crop is '500,0,10,10'"):
        render(pictures.encode(pictures.quadrants(120, 80), "jpeg"), "crop=500,0,10,10")


def test_smart_gravity_finds_what_stands_out(render: Render) -> None:
    scene = pictures.plain((128, 140, 150), 300, 100)
    scene.paste((250, 40, 30), (240, 30, 280, 70))

    image = render(pictures.encode(scene, "jpeg"), "width=100&height=100&fit=cover&gravity=smart")

    reds = np.asarray(image.convert("RGB"))[:, :, 0] > 200
    assert reds.sum() > 1500


@pytest.mark.parametrize("format", ["jpeg", "png", "webp", "avif", "gif"])
def test_no_metadata_leaves(engine: ModuleType, tmp_path: Path, format: str) -> None:
    sample = pictures.talkative(pictures.texture())

    picture = engine.render(
        sample.put(tmp_path), sample.facts, Rendition.parse(f"width=50&format={format}"), None, Encoding()
    )

    image = Image.open(io.BytesIO(picture.body))
    assert not {"exif", "icc_profile", "xmp", "photoshop", "comment"} & set(image.info)
    for secret in (b"Leica", b"secret", b"Exif", b"IEC", b"tEXt", b"tIME"):
        assert secret not in picture.body


def test_quality_changes_the_size(engine: ModuleType, tmp_path: Path) -> None:
    sample = pictures.encode(pictures.texture(), "jpeg")

    for format in ("jpeg", "webp", "avif"):
        sizes = []
        for quality in (20, 60, 95):
            wish = Rendition.parse(f"width=200&format={format}&quality={quality}")
            sizes.append(len(engine.render(sample.put(tmp_path), sample.facts, wish, None, Encoding()).body))
        assert sizes == sorted(set(sizes))


@pytest.mark.parametrize("original", ["gif", "webp"])
@pytest.mark.parametrize("format", ["gif", "webp"])
def test_animations_keep_frames_delays_and_loops(
    render: Render, mark: Callable[..., Mark], original: str, format: str
) -> None:
    sample = pictures.animation(original, [RED, GREEN, BLUE, GREEN])

    image = render(
        sample, f"width=30&rotate=90&format={format}&watermark=m", mark("southwest", scale=0.4, margin=1)
    )

    assert (image.size, getattr(image, "n_frames", 1)) == ((30, 45), 4)
    assert image.info["loop"] == (2 if format == "gif" else 3)
    for number, colour in enumerate([RED, GREEN, BLUE, GREEN]):
        image.seek(number)
        image.load()
        assert image.info["duration"] == 80
        assert near(image, (5, 20), colour, 12)
        assert near(image, (27, 3), (0, 0, 0), 12)
        assert near(image, (7, 41), RED, 25)


@pytest.mark.parametrize("format", ["jpeg", "png", "avif"])
def test_still_formats_show_the_first_frame(render: Render, format: str) -> None:
    image = render(pictures.animation("gif", [RED, GREEN]), f"format={format}")

    assert getattr(image, "n_frames", 1) == 1
    assert near(image, (40, 30), RED, LOSSY + 2)


def test_auto_avif_gives_webp_for_what_moves(render: Render) -> None:
    image = render(pictures.animation("gif", [RED, GREEN]), "format=auto-avif")

    assert (image.format, getattr(image, "n_frames", 1)) == ("WEBP", 2)
