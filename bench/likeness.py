"""How alike two pictures are: SSIM over grey values (Wang et al. 2004), as scikit-image computes it."""

import functools
import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps
from skimage.metrics import structural_similarity

Grey = NDArray[np.uint8]


def likeness(one: bytes, other: bytes) -> float:
    """SSIM of two encoded pictures of one size; 1 is the same picture."""
    return float(structural_similarity(_grey(one), _grey(other)))


def likeness_to_photo(body: bytes, photo: Path) -> float:
    """The same with the photo shrunk whole by Pillow's Lanczos filter."""
    made = _grey(body)
    return float(structural_similarity(made, _shrunk(photo, made.shape[1], made.shape[0])))


def _grey(body: bytes) -> Grey:
    with Image.open(io.BytesIO(body)) as made:
        return np.asarray(made.convert("L"))


@functools.lru_cache(maxsize=1)  # All are compared with one photo, then with the next.
def _shrunk(path: Path, width: int, height: int) -> Grey:
    with Image.open(path) as photo:
        upright = ImageOps.exif_transpose(photo.convert("RGB"))
        return np.asarray(upright.resize((width, height), Image.Resampling.LANCZOS).convert("L"))
