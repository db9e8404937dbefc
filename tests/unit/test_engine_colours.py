"""Colours, transparency, effects, bars and marks, at chosen points and by both engines."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageCms

from imagestore.engines import Mark
from tests import pictures
from tests.pictures import BLUE, QUADRANTS, RED, WHITE, corners, near

Render = Callable[..., Image.Image]


def test_transparency_is_kept_where_the_format_can(render: Render) -> None:
    half = pictures.encode(pictures.plain((*BLUE, 128)), "png")

    for format in ("png", "webp"):
        assert near(render(half, f"width=32&format={format}"), (16, 12), (*BLUE, 128))


def test_transparency_lies_on_white_in_jpeg_and_on_the_background_else(render: Render) -> None:
    half = pictures.encode(pictures.plain((0, 0, 255, 128)), "png")

    assert near(render(half, "format=jpeg"), (20, 20), (127, 127, 255))
    assert near(render(half, "format=jpeg&background=ff0000"), (20, 20), (127, 0, 128))
    assert near(render(half, "background=ff0000"), (20, 20), (127, 0, 128))
    assert near(render(half, "format=jpeg&background=ff000000"), (20, 20), (127, 127, 255))


def test_colours_of_transparent_pixels_do_not_bleed(render: Render) -> None:
    scene = pictures.plain((255, 0, 0, 0), 80, 80)
    scene.paste((0, 0, 255, 255), (40, 0, 80, 80))

    image = render(pictures.encode(scene, "png"), "width=19")

    seen = np.asarray(image.convert("RGBA"))
    visible = seen[seen[:, :, 3] > 40]
    assert visible[:, 0].max() <= 3
    assert visible[:, 2].min() >= 250


@pytest.mark.parametrize(
    ("colour", "expected"),
    [
        ((65535, 32768, 0), (255, 128, 0)),
        ((65535, 32768, 0, 32768), (255, 128, 0, 128)),
        ((40000,), (156, 156, 156)),
        ((40000, 32768), (156, 156, 156, 128)),
    ],
)
@pytest.mark.parametrize("query", ["width=20", "format=webp&width=20", "format=png"])
def test_16_bit_pictures_come_out_in_8(
    render: Render, colour: tuple[int, ...], expected: tuple[int, ...], query: str
) -> None:
    image = render(pictures.png_16_bit(40, 30, colour), query)

    assert image.mode in ("RGB", "RGBA", "L", "LA", "P")
    assert near(image, (10, 8), expected, 3)


def test_grey_pictures_stay_grey(render: Render) -> None:
    image = render(pictures.encode(pictures.texture().convert("L"), "jpeg"), "width=100")

    assert image.mode == "L"


def test_palettes_keep_their_colours(render: Render) -> None:
    image = render(pictures.encode(pictures.quadrants().quantize(4), "png"), "width=60&format=png")

    assert corners(image) == list(QUADRANTS)


@pytest.mark.parametrize(
    ("ink", "expected"),
    [
        ((0, 0, 0, 0), (255, 255, 255)),
        ((255, 0, 0, 0), (0, 255, 255)),
        ((0, 255, 255, 0), (255, 0, 0)),
        ((0, 0, 0, 255), (0, 0, 0)),
        ((0, 0, 0, 128), (127, 127, 127)),
    ],
)
def test_cmyk_without_profile_comes_out_as_browsers_show_it(
    render: Render, ink: tuple[int, ...], expected: tuple[int, ...]
) -> None:
    image = render(pictures.encode(Image.new("CMYK", (64, 48), ink), "jpeg"), "width=20")

    assert near(image, (10, 8), expected)


def test_profiles_are_converted_to_srgb(render: Render) -> None:
    profile = swapped_profile()

    image = render(pictures.encode(pictures.plain((255, 0, 0)), "png", icc_profile=profile), "width=20")

    # The profile calls the first channel green.
    assert near(image, (10, 8), (0, 255, 0), 3)
    assert "icc_profile" not in image.info


def swapped_profile() -> bytes:
    """sRGB with the colorants of red and green changed, so that nobody can overlook it."""
    made = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return (
        made.replace(b"rXYZ", b"????")
        .replace(b"gXYZ", b"rXYZ")
        .replace(b"????", b"gXYZ")
        .replace(b"sRGB", b"swap")
    )


def test_broken_profile_counts_as_none(render: Render) -> None:
    image = render(pictures.encode(pictures.plain(RED), "jpeg", icc_profile=b"no profile" * 20), "width=20")

    assert near(image, (10, 8), RED)


def test_grayscale_weighs_colours_by_luminance(render: Render) -> None:
    image = render(pictures.encode(pictures.plain((0, 255, 0)), "png"), "grayscale=1")

    assert near(image, (5, 5), (182, 182, 182), 2)  # 0.7152 * 255


@pytest.mark.parametrize(("sigma", "tolerance"), [(2, 3), (8, 3), (20, 6)])
def test_blur_spreads_an_edge_by_sigma(render: Render, sigma: int, tolerance: int) -> None:
    scene = pictures.plain((0, 0, 0), 240, 40)
    scene.paste((255, 255, 255), (120, 0, 240, 40))

    image = render(pictures.encode(scene, "png"), f"blur={sigma}").convert("L")

    for x in (120 - sigma, 120 - sigma // 2, 120, 120 + sigma):
        # The integral of the normal distribution, from the edge to the middle of the pixel.
        part = 0.5 + 0.5 * math.erf((x + 0.5 - 120) / sigma / math.sqrt(2))
        assert image.getpixel((x, 20)) == pytest.approx(part * 255, abs=tolerance)


def test_sharpen_makes_an_edge_steeper(render: Render) -> None:
    scene = pictures.plain((80, 80, 80), 60, 40)
    scene.paste((160, 160, 160), (30, 0, 60, 40))

    image = render(pictures.encode(scene, "png"), "sharpen=2").convert("L")

    # Beside an edge of 80 an unsharp mask with amount 1 adds just under half of it.
    assert image.getpixel((30, 20)) == pytest.approx(160 + 32, abs=6)
    assert image.getpixel((29, 20)) == pytest.approx(80 - 32, abs=6)
    assert image.getpixel((5, 20)) == 80


def test_bars_have_the_background_or_none(render: Render) -> None:
    wide = pictures.encode(pictures.plain(BLUE, 80, 40), "png")

    clear = render(wide, "width=40&height=40&fit=pad")
    coloured = render(wide, "width=40&height=40&fit=pad&background=102030")
    jpeg = render(wide, "width=40&height=40&fit=pad&format=jpeg")

    assert near(clear, (20, 3), (255, 255, 255, 0))
    assert near(clear, (20, 20), (*BLUE, 255))
    assert near(coloured, (20, 3), (0x10, 0x20, 0x30))
    assert near(jpeg, (20, 3), (255, 255, 255))


@pytest.mark.parametrize("grey", [False, True])
def test_bars_of_another_colour_do_not_stain_grey_pictures(render: Render, grey: bool) -> None:
    scene = pictures.plain((99, 99, 99), 80, 40)

    image = render(
        pictures.encode(scene.convert("L") if grey else scene, "png"),
        "width=40&height=40&fit=pad&background=ff0000",
    )

    assert near(image, (20, 3), (255, 0, 0))
    assert near(image, (20, 20), (99, 99, 99))


@pytest.mark.parametrize(
    ("position", "inside", "outside"),
    [
        ("southeast", (85, 65), (69, 65)),
        ("northwest", (15, 15), (9, 15)),
        ("center", (50, 40), (39, 40)),
        ("north", (50, 15), (50, 22)),
    ],
)
def test_watermark_lies_where_it_was_asked_for(
    render: Render,
    mark: Callable[..., Mark],
    position: str,
    inside: tuple[int, int],
    outside: tuple[int, int],
) -> None:
    image = render(
        pictures.encode(pictures.plain(WHITE, 200, 160), "jpeg"),
        "width=100&format=png&watermark=m",
        mark(position),
    )

    assert near(image, inside, RED)
    assert near(image, outside, WHITE)


def test_watermark_opacity_and_scale_and_tile(render: Render, mark: Callable[..., Mark]) -> None:
    ground = pictures.encode(pictures.plain((0, 0, 0), 100, 80), "png")

    faint = render(ground, "watermark=m", mark("center", opacity=0.5))
    large = render(ground, "watermark=m", mark("northwest", scale=0.5, margin=0))
    tiled = render(ground, "watermark=m", mark("tile", margin=10)).convert("RGB")

    assert near(faint, (50, 40), (110, 15, 20), 2)
    assert near(large, (45, 20), RED)
    assert near(large, (55, 20), (0, 0, 0))
    marked = [(x, y) for x in range(100) for y in range(80) if near(tiled, (x, y), RED)]
    assert marked == [(x, y) for x in range(100) for y in range(80) if x % 30 >= 10 and y % 20 >= 10]


@pytest.mark.parametrize("format", ["png", "gif", "jpeg"])
def test_watermark_is_coloured_on_grey_pictures(
    render: Render, mark: Callable[..., Mark], format: str
) -> None:
    ground = pictures.encode(pictures.plain((90, 90, 90), 100, 80).convert("L"), format)

    image = render(ground, "watermark=m&format=png", mark("center"))

    assert near(image, (50, 40), RED)
    assert near(image, (5, 5), (90, 90, 90))
