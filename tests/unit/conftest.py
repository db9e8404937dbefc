"""Fixtures of the engines' tests: each test runs over both."""

import importlib
import io
import os
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from PIL import Image

import imagestore.engines
from imagestore.engines import Mark
from imagestore.rendition import Rendition
from imagestore.settings import Encoding
from tests import pictures
from tests.pictures import Sample

# ImageMagick reads its policy once, when Wand is imported; so this comes before all tests.
os.environ["MAGICK_CONFIGURE_PATH"] = str(Path(imagestore.engines.__file__).parent / "policy")


@pytest.fixture(params=["vips", "wand"])
def engine(request: pytest.FixtureRequest) -> ModuleType:
    return importlib.import_module(f"imagestore.engines.{request.param}")


@pytest.fixture
def render(engine: ModuleType, tmp_path: Path) -> Callable[..., Image.Image]:
    """Renders a sample and opens the result with Pillow."""

    def call(sample: Sample, query: str, mark: Mark | None = None) -> Image.Image:
        picture = engine.render(sample.put(tmp_path), sample.facts, Rendition.parse(query), mark, Encoding())
        image = Image.open(io.BytesIO(picture.body))
        assert picture.content_type == Image.MIME[image.format or ""]
        return image

    return call


@pytest.fixture
def mark(tmp_path: Path) -> Callable[..., Mark]:
    """A red mark of 20x10 pixels."""

    def make(
        position: str = "southeast", opacity: float = 1.0, scale: float | None = None, margin: int = 10
    ) -> Mark:
        sample = pictures.encode(pictures.plain(pictures.RED, 20, 10), "png")
        return Mark(sample.put(tmp_path), sample.facts, position, opacity, scale, margin)

    return make
