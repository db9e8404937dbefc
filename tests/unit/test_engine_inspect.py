"""What both engines refuse, what they tell of a picture, and what ImageMagick is denied."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from PIL import Image

import imagestore.engines
from imagestore.errors import ImageInvalid
from imagestore.records import Facts
from imagestore.rendition import Rendition
from imagestore.settings import Encoding
from tests import pictures
from tests.pictures import BLUE, GREEN, RED, Sample, near

Render = Callable[..., Image.Image]


@pytest.fixture(params=["jpeg", "progressive", "png", "gif", "webp", "avif", "tiff", "animation"])
def whole(request: pytest.FixtureRequest) -> Sample:
    """A picture of each format, complete."""
    if request.param == "animation":
        return pictures.animation("gif", [RED, GREEN, BLUE])
    if request.param == "progressive":
        return pictures.encode(pictures.texture(), "jpeg", progressive=True)
    return pictures.encode(pictures.texture(), request.param)


def test_inspect_accepts_a_whole_picture(engine: ModuleType, whole: Sample, tmp_path: Path) -> None:
    seen = engine.inspect(whole.put(tmp_path), whole.facts).seen

    assert (seen["colorspace"], seen["bits"], seen["has_profile"], seen["exif"]) == ("srgb", 8, False, {})


@pytest.mark.parametrize("size", [(1, 1), (7, 7), (8, 8), (9, 5), (5, 900), (17, 8)])
@pytest.mark.parametrize("coding", [{}, {"progressive": True}, {"subsampling": 0}])
def test_inspect_accepts_the_smallest_pictures(
    engine: ModuleType, size: tuple[int, int], coding: dict[str, Any], tmp_path: Path
) -> None:
    sample = pictures.encode(pictures.plain(RED, *size), "jpeg", **coding)

    assert engine.inspect(sample.put(tmp_path), sample.facts).seen["bits"] == 8


@pytest.mark.parametrize("part", [0.3, 0.7, 0.98])
def test_inspect_refuses_a_picture_that_is_cut_short(
    engine: ModuleType, whole: Sample, part: float, tmp_path: Path
) -> None:
    with pytest.raises(ImageInvalid):
        engine.inspect(whole.cut(part).put(tmp_path), whole.facts)


def test_inspect_is_not_fooled_by_the_end_of_a_thumbnail(engine: ModuleType, tmp_path: Path) -> None:
    thumbnail = pictures.encode(pictures.plain(RED), "jpeg").data
    sample = pictures.encode(pictures.texture(), "jpeg", exif=b"Exif\0\0" + thumbnail)

    with pytest.raises(ImageInvalid):
        engine.inspect(sample.cut(0.8).put(tmp_path), sample.facts)


def test_inspect_refuses_another_size_than_the_header_has(engine: ModuleType, tmp_path: Path) -> None:
    sample = pictures.encode(pictures.texture(), "png")

    with pytest.raises(ImageInvalid, match="disagree"):
        engine.inspect(sample.put(tmp_path), Facts("png", 399, 300))


def test_inspect_tells_the_camera_and_never_the_place(engine: ModuleType, tmp_path: Path) -> None:
    sample = pictures.talkative(pictures.texture())

    seen = engine.inspect(sample.put(tmp_path), sample.facts).seen

    assert seen["exif"] == {"make": "Leica", "model": "M11"}
    assert seen["has_profile"] is True


@pytest.mark.parametrize(
    ("sample", "colorspace", "bits"),
    [
        (pictures.png_16_bit(), "srgb", 16),
        (pictures.png_16_bit(colour=(40000, 32768)), "grey", 16),
        (pictures.encode(pictures.texture().convert("CMYK"), "jpeg"), "cmyk", 8),
        (pictures.encode(pictures.texture().convert("L"), "jpeg"), "grey", 8),
    ],
    ids=["rgb16", "grey16", "cmyk", "grey"],
)
def test_inspect_tells_colours_and_bits(
    engine: ModuleType, sample: Sample, colorspace: str, bits: int, tmp_path: Path
) -> None:
    seen = engine.inspect(sample.put(tmp_path), sample.facts).seen

    assert (seen["colorspace"], seen["bits"]) == (colorspace, bits)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xd8\xff\xd9",
        b"\xff\xd8\xff\xe0" + bytes(200),
        b"GIF89a",
        b"<svg/>",
        b"push graphic-context",
    ],
)
@pytest.mark.parametrize("format", ["jpeg", "png", "gif", "webp", "tiff"])
def test_bytes_that_are_no_picture_are_invalid(
    engine: ModuleType, data: bytes, format: str, tmp_path: Path
) -> None:
    broken = Sample(data, Facts(format, 40, 30))

    with pytest.raises(ImageInvalid):
        engine.inspect(broken.put(tmp_path), broken.facts)
    with pytest.raises(ImageInvalid):
        engine.render(broken.put(tmp_path), broken.facts, Rendition.parse("width=20"), None, Encoding())


def test_cut_jpeg_that_was_stored_still_renders(render: Render) -> None:
    image = render(pictures.encode(pictures.plain(BLUE, 400, 300), "jpeg", quality=100).cut(0.6), "width=100")

    assert image.size == (100, 75)
    assert near(image, (5, 5), BLUE)


def _check(environment: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    code = "from imagestore.engines import wand; wand.check_policy()"
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.fixture
def open_policy(tmp_path: Path) -> Path:
    (tmp_path / "policy.xml").write_text("<policymap></policymap>")
    return tmp_path


def test_policy_is_accepted_when_it_is_ours() -> None:
    done = _check({"MAGICK_CONFIGURE_PATH": str(Path(imagestore.engines.__file__).parent / "policy")})

    assert (done.returncode, done.stderr) == (0, "")


def test_policy_is_refused_when_a_denied_format_would_be_read(open_policy: Path) -> None:
    done = _check({"MAGICK_CONFIGURE_PATH": str(open_policy)})

    assert done.returncode == 1
    assert "RuntimeError: ImageMagick's policy does not refuse SVG" in done.stderr


def test_memory_over_the_policy_is_no_broken_picture(tmp_path: Path) -> None:
    policy = (Path(imagestore.engines.__file__).parent / "policy" / "policy.xml").read_text()
    (tmp_path / "policy.xml").write_text(policy.replace("960MiB", "1MiB"))
    sample = pictures.encode(pictures.texture(800, 600), "png")
    code = (
        "import sys; from pathlib import Path\n"
        "from imagestore.engines import wand; from imagestore.records import Facts\n"
        "try: wand.inspect(Path(sys.argv[1]), Facts('png', 800, 600))\n"
        "except MemoryError as error: print('MemoryError')"
    )

    done = subprocess.run(
        [sys.executable, "-c", code, str(sample.put(tmp_path))],
        env={**os.environ, "MAGICK_CONFIGURE_PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert (done.stdout, done.stderr) == ("MemoryError\n", "")
