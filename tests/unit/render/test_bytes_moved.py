"""What a decoder reads of an original, and what goes through its pipe."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from imagestore.engines import Wish
from imagestore.render import Renderer
from imagestore.rendition import Rendition
from tests import pictures
from tests.bytesmoved import SLACK_BYTES, about, moved
from tests.unit.render.decoding import Bench, decoders

NOISE = Image.effect_noise((1400, 1000), 60).convert("RGB")
"""Hard to compress, so that few pixels are many bytes."""

LARGE = "width=900&format=png"


@pytest.fixture
def renderer(bench: Bench, fresh_forker: None) -> Renderer:
    """With one decoder, which has its libraries."""
    renderer = bench.renderer("imagestore.engines.vips")
    sample = pictures.encode(pictures.texture(), "jpeg")
    renderer.render(sample.put(bench.folder), sample.facts, Rendition.parse("width=90&format=png"), None)
    renderer.inspect(sample.put(bench.folder))
    return renderer


def twice(work: Callable[[], Any]) -> Any:
    """The second time nothing is imported any more."""
    work()
    (decoder,) = decoders()
    with moved(decoder) as by_decoder, moved(os.getpid()) as by_us:
        result = work()
    return result, by_decoder, by_us


# WebP and GIF are mapped into the decoder's memory.
@pytest.mark.parametrize("format", ["jpeg", "png", "avif", "tiff"])
def test_original_is_read_once_and_the_picture_sent_once(
    renderer: Renderer, tmp_path: Path, format: str
) -> None:
    sample = pictures.encode(NOISE, format)
    source = sample.put(tmp_path)
    assert len(sample.data) > 3 * SLACK_BYTES

    picture, by_decoder, by_us = twice(
        lambda: renderer.render(source, sample.facts, Rendition.parse(LARGE), None)
    )

    assert len(picture.body) > 3 * SLACK_BYTES
    assert by_decoder.read in about(len(sample.data))
    assert by_decoder.written in about(len(picture.body))
    assert by_us.read in about(len(picture.body))
    assert by_us.written in about(0)


@pytest.mark.parametrize("format", ["jpeg", "png"])
def test_five_pictures_cost_one_reading(renderer: Renderer, tmp_path: Path, format: str) -> None:
    sample = pictures.encode(NOISE, format)
    source = sample.put(tmp_path)
    wishes = [Wish(Rendition.parse(f"width={width}&format=png")) for width in (900, 700, 500, 300, 100)]

    made, by_decoder, by_us = twice(lambda: renderer.render_all(source, sample.facts, wishes))

    size = sum(len(picture.body) for picture in made)
    assert by_decoder.read in about(len(sample.data))
    assert by_decoder.written in about(size)
    assert by_us.read in about(size)


@pytest.mark.parametrize("format", ["jpeg", "png", "avif", "tiff"])
def test_check_of_an_upload_reads_it_once(renderer: Renderer, tmp_path: Path, format: str) -> None:
    sample = pictures.encode(NOISE, format)
    source = sample.put(tmp_path)

    (_, inspection), by_decoder, by_us = twice(lambda: renderer.inspect(source, with_base=True))

    base = len(inspection.base.body) if inspection.base else 0
    assert by_decoder.read in about(len(sample.data))
    assert by_decoder.written in about(base)
    assert by_us.written in about(0)


def test_base_goes_through_the_pipe_once(renderer: Renderer) -> None:
    sample = pictures.encode(NOISE, "jpeg")
    wish = Wish(Rendition.parse(LARGE))

    picture, by_decoder, by_us = twice(lambda: renderer.render_base(sample.data, sample.facts, wish))

    # The decoder puts it into a file of its own, since libvips opens files.
    assert by_decoder.read in about(2 * len(sample.data))
    assert by_decoder.written in about(len(sample.data) + len(picture.body))
    assert by_us.written in about(len(sample.data))
    assert by_us.read in about(len(picture.body))


def test_memory_of_a_picture_serves_the_next(renderer: Renderer, tmp_path: Path) -> None:
    """A block that goes back to the kernel comes again in pages that it must clear."""
    sample = pictures.encode(Image.effect_noise((2800, 2000), 90).convert("RGB"), "jpeg")
    assert len(sample.data) > 2**21
    source, wish = sample.put(tmp_path), Rendition.parse("width=900&format=jpeg")
    (decoder,) = decoders()
    for _ in range(2):
        renderer.render(source, sample.facts, wish, None)
    before = pages_given(decoder)

    for _ in range(5):
        renderer.render(source, sample.facts, wish, None)

    assert (pages_given(decoder) - before) / 5 < len(sample.data) / os.sysconf("SC_PAGESIZE") / 4


def pages_given(pid: int) -> int:
    """So often the kernel gave the process a page (`minflt`, proc_pid_stat(5))."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[7])
