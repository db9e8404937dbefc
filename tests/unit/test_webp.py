"""Still WebP: what libvips has made goes out with its colours, its greys and its alpha."""

import io
import subprocess
import sys

import pytest
import pyvips
from PIL import Image

from imagestore.engines.webp import encode_webp

COLOURS = {1: [90], 2: [90, 60], 3: [200, 40, 90], 4: [200, 40, 90, 60]}
NEAR = 6
"""What WebP may change of an even colour, whose red and blue have seven bits."""


def plain(bands: int, width: int = 64, height: int = 48) -> pyvips.Image:
    image = pyvips.Image.black(width, height, bands=bands) + COLOURS[bands]
    return image.cast("uchar").copy(interpretation="b-w" if bands < 3 else "srgb")


@pytest.mark.parametrize("bands", COLOURS)
def test_colours_greys_and_alpha_are_kept(bands: int) -> None:
    colour = COLOURS[bands]
    grey, alpha = bands < 3, colour[-1] if bands in (2, 4) else 255

    body = encode_webp(plain(bands), quality=80, effort=2)

    with Image.open(io.BytesIO(body)) as image:
        assert (image.format, image.size) == ("WEBP", (64, 48))
        seen = image.convert("RGBA").getpixel((30, 20))
    expected = [*(colour[:1] * 3 if grey else colour[:3]), alpha]
    assert seen == pytest.approx(expected, abs=NEAR)


def test_quality_and_effort_are_heeded() -> None:
    noise = pyvips.Image.gaussnoise(300, 200, sigma=40, mean=128, seed=1).cast("uchar")

    bodies = {(q, e): encode_webp(noise, quality=q, effort=e) for q in (40, 80) for e in (0, 4)}

    assert len(set(bodies.values())) == 4
    assert len(bodies[40, 0]) < len(bodies[80, 0])


def test_too_little_memory_is_an_error_that_a_decoder_knows() -> None:
    code = """
import resource
import pyvips
from imagestore.engines.webp import encode_webp

image = pyvips.Image.gaussnoise(600, 600, sigma=60, mean=128, seed=1).cast("uchar").copy_memory()
encode_webp(image, quality=100, effort=0)
idle = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
ends = set()
for more in range(2 << 20, 12 << 20, 1 << 19):
    resource.setrlimit(resource.RLIMIT_AS, (idle + more, resource.RLIM_INFINITY))
    try:
        encode_webp(image, quality=100, effort=0)
        ends.add("made")
    except MemoryError as error:
        ends.add("libwebp" if error.__cause__ else "Pillow")
print(*sorted(ends))
"""
    environment = {"VIPS_CONCURRENCY": "1"}

    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)

    assert ({*done.stdout.split()}, done.stderr) == ({"libwebp", "made"}, "")
