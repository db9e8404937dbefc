"""JPEG decoded beside libvips: the same pixels, colours and profile, and what is left to libvips."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pyvips
from PIL import Image, ImageCms

from imagestore.engines import jpeg
from tests import pictures
from tests.pictures import RED

GREY = "L"


def opened(folder: Path, image: Image.Image, *, times: int = 1, **coding: Any) -> tuple[pyvips.Image, Path]:
    path = pictures.encode(image, "jpeg", **coding).put(folder)
    return pyvips.Image.jpegload(str(path), shrink=times), path


def pixels(image: pyvips.Image) -> "np.ndarray[Any, Any]":
    return np.asarray(image.numpy(), dtype=int)


@pytest.mark.parametrize("times", [1, 2, 4, 8])
@pytest.mark.parametrize("size", [(400, 304), (397, 301), (16, 9)])
@pytest.mark.parametrize(
    "coding",
    [{"subsampling": 0}, {"subsampling": 1}, {"subsampling": 2}, {"progressive": True}, {"mode": GREY}],
    ids=["444", "422", "420", "progressive", "grey"],
)
def test_pixels_are_those_of_libvips(
    times: int, size: tuple[int, int], coding: dict[str, Any], tmp_path: Path
) -> None:
    coding = dict(coding)
    image = pictures.texture().convert(coding.pop("mode", "RGB")).resize(size)
    by_vips, path = opened(tmp_path, image, times=times, **coding)

    ours = jpeg.decoded(by_vips, path, times=times, strictly=True)

    assert ours is not by_vips
    assert (ours.interpretation, ours.format) == (by_vips.interpretation, "uchar")
    assert pixels(ours).shape == pixels(by_vips).shape
    assert np.abs(pixels(ours) - pixels(by_vips)).max() <= 1


def test_the_profile_travels_with_the_pixels(tmp_path: Path) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    by_vips, path = opened(tmp_path, pictures.texture(), icc_profile=profile)

    assert jpeg.decoded(by_vips, path, times=1).get("icc-profile-data") == profile


def test_pixels_outlive_whoever_decoded_them(tmp_path: Path) -> None:
    by_vips, path = opened(tmp_path, pictures.plain(RED, 800, 600))

    kept = jpeg.decoded(by_vips, path, times=1).copy_memory()
    others = [jpeg.decoded(by_vips, path, times=1).invert().copy_memory() for _ in range(5)]

    assert np.abs(pixels(kept) - np.array(RED)).max() <= 2
    assert np.abs(pixels(others[0]) + np.array(RED) - 255).max() <= 2


def test_cmyk_is_left_to_libvips(tmp_path: Path) -> None:
    by_vips, path = opened(tmp_path, pictures.texture().convert("CMYK"))

    assert jpeg.decoded(by_vips, path, times=1) is by_vips


def test_what_is_too_large_to_be_held_is_left_to_libvips(tmp_path: Path) -> None:
    by_vips, path = opened(tmp_path, Image.new("RGB", (4001, 4000)))
    half = pyvips.Image.jpegload(str(path), shrink=2)

    assert jpeg.decoded(by_vips, path, times=1) is by_vips
    assert jpeg.decoded(half, path, times=2) is not half


def test_damage_is_left_to_libvips_where_it_matters(tmp_path: Path) -> None:
    image = pictures.texture()
    by_vips, path = opened(tmp_path, image)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2] + b"\xff\xd9")

    shown = jpeg.decoded(by_vips, path, times=1)

    assert jpeg.decoded(by_vips, path, times=1, strictly=True) is by_vips
    assert pixels(shown)[10, 10] == pytest.approx(image.getpixel((10, 10)), abs=24)


@pytest.mark.parametrize("data", [b"", b"\xff\xd8\xff\xd9", b"GIF89a"])
def test_what_is_no_jpeg_is_left_to_libvips(data: bytes, tmp_path: Path) -> None:
    by_vips, path = opened(tmp_path, pictures.texture())
    path.write_bytes(data)

    assert jpeg.decoded(by_vips, path, times=1) is by_vips
