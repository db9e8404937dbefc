"""Both engines on pictures that nobody here made; skipped where that folder is absent.

IMAGESTORE_TEST_PHOTOS names the folder; by default it is `shared/photos` beside the repository.
"""

import importlib
import io
import os
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image, UnidentifiedImageError
from skimage.metrics import structural_similarity

from imagestore.errors import ImageInvalid, InvalidParameter
from imagestore.records import CONTENT_TYPES, Facts
from imagestore.rendition import Rendition
from imagestore.settings import Encoding, Limits

ROOT = Path(__file__).resolve().parents[2]
PHOTOS = Path(os.environ.get("IMAGESTORE_TEST_PHOTOS", ROOT.parent / "shared" / "photos"))

UNREADABLE_BY_PILLOW = {
    "cielab-dagams.tiff": Facts("tiff", 400, 266),
    "corrupt-header.jpg": Facts("jpeg", 100, 100),
    "truncated.png": Facts("png", 294, 240),
}
BROKEN = {"corrupt-header.jpg", "truncated.jpg", "truncated.png"}

pytestmark = pytest.mark.skipif(not PHOTOS.is_dir(), reason=f"no photos in {PHOTOS.name}")


def photos(*folders: str) -> list[Path]:
    return [path for folder in folders for path in sorted((PHOTOS / folder).glob("*"))]


@pytest.fixture(autouse=True)
def _no_pixel_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)


def facts_of(path: Path) -> Facts:
    """The facts as Pillow sees them; skips what no upload would let in."""
    if path.name in UNREADABLE_BY_PILLOW:
        return UNREADABLE_BY_PILLOW[path.name]
    try:
        image = Image.open(path)
    except UnidentifiedImageError:
        pytest.skip("not of a stored format")
    with image:
        format_ = {"MPO": "jpeg"}.get(image.format or "", (image.format or "").lower())
        width, height = image.size
        if format_ not in CONTENT_TYPES or width * height > Limits().max_pixels:
            pytest.skip("not of a stored format, or over the limit of pixels")
        orientation = 1 if format_ == "avif" else image.getexif().get(0x0112, 1)
        if orientation >= 5:
            width, height = height, width
        frames = getattr(image, "n_frames", 1) if format_ in ("gif", "webp") else 1
        alpha = image.mode in ("RGBA", "LA") or "transparency" in image.info
        return Facts(format_, width, height, frames=frames, orientation=orientation, alpha=alpha)


def rendered(engine: ModuleType, path: Path, facts: Facts, query: str) -> Image.Image:
    picture = engine.render(path, facts, Rendition.parse(query), None, Encoding())
    return Image.open(io.BytesIO(picture.body))


def on_grey(image: Image.Image) -> np.ndarray:
    ground = Image.new("RGBA", image.size, (128, 128, 128, 255))
    ground.alpha_composite(image.convert("RGBA"))
    return np.asarray(ground.convert("RGB"))


def likeness(one: np.ndarray, other: np.ndarray) -> float:
    """SSIM of two pictures; 1 is the same."""
    if min(one.shape[:2]) < 7:
        return 1.0 - float(np.abs(one.astype(int) - other).mean()) / 255
    return float(structural_similarity(one, other, channel_axis=2))


@pytest.mark.parametrize("path", photos("real", "odd"), ids=lambda path: path.name)
def test_engines_agree(path: Path) -> None:
    facts = facts_of(path)
    if path.name in BROKEN:
        pytest.skip("what is shown of a broken picture is up to the decoder")

    vips, wand = (
        rendered(
            importlib.import_module(f"imagestore.engines.{name}"),
            path,
            facts,
            "width=300&height=300&format=png",
        )
        for name in ("vips", "wand")
    )

    assert vips.size == wand.size
    assert likeness(on_grey(vips), on_grey(wand)) >= 0.97


@pytest.mark.parametrize(
    "path", [path for path in photos("real") if path.suffix == ".jpg"], ids=lambda path: path.name
)
def test_shrink_on_load_costs_no_quality(path: Path) -> None:
    facts = facts_of(path)
    with Image.open(path) as original:
        reference = upright(original.convert("L"), facts.orientation)

    for name in ("vips", "wand"):
        engine = importlib.import_module(f"imagestore.engines.{name}")
        image = rendered(engine, path, facts, "width=300&height=300&format=png")
        expected = reference.resize(image.size, Image.Resampling.LANCZOS)
        assert structural_similarity(np.asarray(image.convert("L")), np.asarray(expected)) >= 0.98


def upright(image: Image.Image, orientation: int) -> Image.Image:
    turns = {6: Image.Transpose.ROTATE_270, 8: Image.Transpose.ROTATE_90}
    return image.transpose(turns[orientation]) if orientation != 1 else image


@pytest.mark.parametrize("shape", ["Landscape", "Portrait"])
def test_orientations_look_alike(engine: ModuleType, shape: str) -> None:
    pictures = []
    for number in range(1, 9):
        path = PHOTOS / "orientation" / f"{shape}_{number}.jpg"
        pictures.append(on_grey(rendered(engine, path, facts_of(path), "width=64&height=64&format=png")))

    # The number in the middle of each differs.
    assert all(likeness(pictures[0], picture) > 0.85 for picture in pictures[1:])


@pytest.mark.parametrize("fit", ["inside", "outside", "cover", "pad", "stretch"])
@pytest.mark.parametrize("path", photos("odd"), ids=lambda path: path.name)
def test_odd_pictures_render_or_are_refused(engine: ModuleType, path: Path, fit: str) -> None:
    facts = facts_of(path)
    if facts.format not in engine.READS:
        pytest.skip("not read by this engine")

    query = f"width=300&height=300&fit={fit}&enlarge=1&format={'webp' if facts.frames > 1 else 'jpeg'}"
    if path.name == "big-height.webp" and fit == "outside":
        # 97 frames of 300x3900 pixels.
        with pytest.raises(InvalidParameter, match="113 megapixels"):
            rendered(engine, path, facts, query)
        return
    try:
        image = rendered(engine, path, facts, query)
    except ImageInvalid:
        assert path.name in BROKEN
        return

    if fit in ("inside", "outside"):
        assert (max if fit == "inside" else min)(image.size) == 300
    else:
        assert image.size == (300, 300)


@pytest.mark.parametrize("path", photos("real", "odd"), ids=lambda path: path.name)
def test_inspect_refuses_the_broken_ones_alone(engine: ModuleType, path: Path) -> None:
    facts = facts_of(path)

    if path.name in BROKEN:
        with pytest.raises(ImageInvalid):
            engine.inspect(path, facts)
        return
    assert engine.inspect(path, facts).seen["colorspace"] in ("srgb", "grey", "cmyk", "lab")
