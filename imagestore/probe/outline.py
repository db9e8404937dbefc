"""What every format's reader gives, and the limits that all share."""

from dataclasses import dataclass

from imagestore.errors import ImageInvalid, ImageTooComplex, ImageTooLarge, ImageTooManyFrames
from imagestore.settings import Limits


@dataclass(frozen=True, slots=True)
class Outline:
    """A picture as it lies in the file: `width` and `height` before `orientation` is applied.

    `pixels` are those of all frames together where frames differ in size, else None.
    """

    width: int
    height: int
    alpha: bool = False
    orientation: int = 1
    frames: int = 1
    pixels: int | None = None

    @property
    def total_pixels(self) -> int:
        return self.width * self.height * self.frames if self.pixels is None else self.pixels


class Steps:
    """Counts the steps of a walk, so that a hostile structure cannot make it long."""

    def __init__(self, what: str, limit: int) -> None:
        self._what = what
        self._limit = limit
        self._left = limit

    def take(self, count: int = 1) -> None:
        """Raises:
        ImageTooComplex: more than the limit were taken.
        """
        self._left -= count
        if self._left < 0:
            raise ImageTooComplex(f"the picture has more than {self._limit} {self._what}")


def check_size(width: int, height: int, limits: Limits) -> None:
    """Raises:
    ImageInvalid: a side is 0.
    ImageTooLarge: a side or the area is over the limit.
    """
    if width < 1 or height < 1:
        raise ImageInvalid(f"the picture is {width} x {height} pixels, expected 1 x 1 or more")
    if max(width, height) > limits.max_side:
        raise ImageTooLarge(
            f"the picture is {width} x {height} pixels, expected sides up to {limits.max_side}"
        )
    if width * height > limits.max_pixels:
        raise ImageTooLarge(
            f"the picture is {width} x {height} pixels, expected up to {limits.max_pixels} in all"
        )


def check_frames(frames: int, total_pixels: int, limits: Limits) -> None:
    """Raises:
    ImageTooManyFrames: the number of frames, or the pixels of all together, is over the limit.
    """
    if frames > limits.max_frames:
        raise ImageTooManyFrames(
            f"the picture has {frames} frames or more, expected up to {limits.max_frames}"
        )
    if frames > 1 and total_pixels > limits.max_total_pixels:
        raise ImageTooManyFrames(
            f"the frames have {total_pixels} pixels together, expected up to {limits.max_total_pixels}"
        )


def cut_short(format: str, what: str) -> ImageInvalid:
    """The error for a file that ends too early."""
    return ImageInvalid(f"the {format} file is cut short: {what}")
