"""How often an engine opens and decodes a file, counted at the libraries. No clock is asked."""

import importlib
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import PIL.Image
import pytest
import pyvips
import simplejpeg

from imagestore.engines import Mark, Wish
from imagestore.rendition import Rendition
from imagestore.settings import Encoding
from tests import pictures
from tests.pictures import BLUE, GREEN, RED, Sample

TEXTURE = pictures.texture(320, 240)
SAMPLES = {name: pictures.encode(TEXTURE, name) for name in ("jpeg", "png", "webp", "gif", "avif", "tiff")}
PROGRESSIVE = pictures.encode(TEXTURE, "jpeg", progressive=True)
CMYK = pictures.encode(TEXTURE.convert("CMYK"), "jpeg")
FILM = pictures.animation("gif", [RED, GREEN, BLUE])
PRESETS = ["width=240", "width=160&format=webp", "width=120", "width=80&rotate=90", "width=40&format=png"]

_OPENS = re.compile(r"load|^thumbnail")
_READS = ("MagickReadImage", "MagickReadImageBlob", "MagickPingImage", "MagickPingImageBlob")


class Asked:
    """What the libraries were asked for: files to `open`, and their pixels to `decode`."""

    def __init__(self) -> None:
        self.opened: Counter[str] = Counter()
        self.decoded: Counter[str] = Counter()
        # An image of pyvips that has a handler must outlive all that is made of it.
        self._images: list[pyvips.Image] = []

    def watch(self, loader: str, image: pyvips.Image) -> None:
        """libvips decodes when pixels are computed; then it tells all images on the way."""
        self.opened[loader] += 1
        image.set_progress(True)
        image.signal_connect("preeval", lambda *_: self.decoded.update([loader]))
        self._images.append(image)

    def decode(self, name: str, work: Callable[..., Any]) -> Callable[..., Any]:
        def count(*arguments: Any, **options: Any) -> Any:
            self.decoded[name] += 1
            return work(*arguments, **options)

        return count


@pytest.fixture
def asked(engine: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Asked:
    asked = Asked()
    call = pyvips.Operation.call

    def call_and_watch(name: str, *arguments: Any, **options: Any) -> Any:
        result = call(name, *arguments, **options)
        if _OPENS.search(name):
            asked.watch(name, result[0] if isinstance(result, list) else result)
        return result

    monkeypatch.setattr(pyvips.Operation, "call", staticmethod(call_and_watch))
    monkeypatch.setattr(simplejpeg, "decode_jpeg", asked.decode("simplejpeg", simplejpeg.decode_jpeg))
    monkeypatch.setattr(PIL.Image, "open", asked.decode("Pillow", PIL.Image.open))
    if engine.NAME == "wand":
        library = importlib.import_module("wand.api").library
        for name in _READS:
            monkeypatch.setattr(library, name, asked.decode("Magick", getattr(library, name)))
    return asked


def loader(engine: ModuleType, sample: Sample) -> str:
    """What opens a file; nothing is opened before it is decoded where this is empty."""
    names = {"jpeg": "jpegload", "gif": "gifload", "avif": "heifload"}
    return names.get(sample.facts.format, f"{sample.facts.format}load") if engine.NAME == "vips" else ""


def once(engine: ModuleType, sample: Sample) -> Counter[str]:
    """The pixels of a file, decoded once."""
    if engine.NAME == "wand":
        return Counter(Magick=1)
    if sample in (SAMPLES["jpeg"], PROGRESSIVE):
        return Counter(simplejpeg=1)
    # libvips computes a WebP's pixels in two steps, which it tells both: the frame, and what is asked for.
    return Counter({loader(engine, sample): 2 if sample.facts.format == "webp" else 1})


def opened(engine: ModuleType, sample: Sample, times: int) -> Counter[str]:
    return Counter({loader(engine, sample): times}) if engine.NAME == "vips" else Counter()


STILLS = pytest.mark.parametrize(
    "sample", [*SAMPLES.values(), PROGRESSIVE, CMYK], ids=[*SAMPLES, "progressive", "cmyk"]
)


@STILLS
@pytest.mark.parametrize("width", [40, 240])
def test_picture_costs_one_decode(
    engine: ModuleType, asked: Asked, tmp_path: Path, sample: Sample, width: int
) -> None:
    wish = Rendition(width=width)

    engine.render(sample.put(tmp_path), sample.facts, wish, None, Encoding())

    assert asked.decoded == once(engine, sample)
    assert asked.opened == opened(engine, sample, 1)


@STILLS
def test_five_presets_cost_one_decode(
    engine: ModuleType, asked: Asked, tmp_path: Path, sample: Sample
) -> None:
    wishes = [Wish(Rendition.parse(query)) for query in PRESETS]

    batch = engine.render_all(sample.put(tmp_path), sample.facts, wishes, Encoding())

    assert batch.decodes == 1
    assert asked.decoded == once(engine, sample)
    assert asked.opened == opened(engine, sample, 1)


@STILLS
@pytest.mark.parametrize("base", [True, False], ids=["with a base", "without"])
def test_check_of_an_upload_costs_one_decode(
    engine: ModuleType, asked: Asked, tmp_path: Path, sample: Sample, base: bool
) -> None:
    engine.inspect(sample.put(tmp_path), sample.facts, with_base=base)

    assert asked.decoded == once(engine, sample)
    # What is decoded smaller is opened a second time, and no pixel is asked of the first.
    times = 2 if sample.facts.format in ("jpeg", "webp") else 1
    assert asked.opened == opened(engine, sample, times)


def test_animation_is_opened_once_and_each_frame_decoded_once(
    engine: ModuleType, asked: Asked, tmp_path: Path
) -> None:
    engine.render(FILM.put(tmp_path), FILM.facts, Rendition(width=30), None, Encoding())

    assert asked.decoded == (Counter(gifload=3) if engine.NAME == "vips" else Counter(Magick=1))
    assert asked.opened == opened(engine, FILM, 1)


def test_watermark_costs_one_decode_more(
    engine: ModuleType, asked: Asked, tmp_path: Path, mark: Callable[..., Mark]
) -> None:
    sample, wish = SAMPLES["jpeg"], Rendition(width=120, watermark="mark")

    engine.render(sample.put(tmp_path), sample.facts, wish, mark(), Encoding())

    of_mark = Counter(pngload=1) if engine.NAME == "vips" else Counter(Magick=1)
    assert asked.decoded == once(engine, sample) + of_mark
    assert asked.opened.total() == (2 if engine.NAME == "vips" else 0)
