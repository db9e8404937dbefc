"""GIF: a screen and a chain of blocks (CompuServe GIF89a specification)."""

import mmap
import struct

from imagestore.errors import ImageInvalid, ImageTooComplex
from imagestore.probe.outline import Outline, Steps, check_frames, check_size, cut_short
from imagestore.settings import Limits

_MAX_BLOCKS = 100_000
_MAX_SUB_BLOCKS = 1_000_000
"""32 MB of full sub-blocks are 131,000; 1,000,000 steps take 0.14 s (measured 2026-11)."""

_EXTENSION, _IMAGE, _TRAILER, _PADDING = 0x21, 0x2C, 0x3B, 0x00
_GRAPHIC_CONTROL = 0xF9


def read(data: mmap.mmap, limits: Limits) -> Outline:
    """Walk to the trailer; bytes after it are left alone.

    The size is the screen's, which every frame must lie within: a frame larger than the screen
    would be an animation larger than its header says.

    Raises:
        ImageInvalid, ImageTooManyFrames, ImageTooComplex: as `probe` says.
    """
    width, height, flags = struct.unpack_from("<HHB", data, 6)
    check_size(width, height, limits)
    at = 13 + _table_length(flags)
    alpha, frames = False, 0
    steps = Steps("GIF blocks", _MAX_BLOCKS)
    sub_blocks = [_MAX_SUB_BLOCKS]
    while True:
        steps.take()
        if at >= len(data):
            raise cut_short("gif", "its trailer is missing")
        kind = data[at]
        if kind == _TRAILER:
            break
        if kind == _EXTENSION:
            if data[at + 1] == _GRAPHIC_CONTROL:
                alpha = alpha or bool(data[at + 3] & 1)
            at = _skip_sub_blocks(data, at + 2, sub_blocks)
        elif kind == _IMAGE:
            frames += 1
            check_frames(frames, width * height * frames, limits)
            covers, at = _image(data, at + 1, width, height)
            alpha = alpha or (frames == 1 and not covers)
            at = _skip_sub_blocks(data, at, sub_blocks)
        elif kind == _PADDING:
            at += 1
        else:
            raise ImageInvalid(f"the gif has a block of the unknown kind {kind}")
    if frames == 0:
        raise ImageInvalid("the gif file has no picture in it")
    return Outline(width, height, alpha, frames=frames)


def _table_length(flags: int) -> int:
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _image(data: mmap.mmap, at: int, screen_width: int, screen_height: int) -> tuple[bool, int]:
    """Whether a frame covers the screen, and where its data begin."""
    left, top, width, height, flags = struct.unpack_from("<HHHHB", data, at)
    if left + width > screen_width or top + height > screen_height:
        raise ImageInvalid(
            f"a frame of the gif reaches to {left + width} x {top + height}, "
            f"outside its {screen_width} x {screen_height} pixels"
        )
    return width == screen_width and height == screen_height, at + 9 + _table_length(flags) + 1


def _skip_sub_blocks(data: mmap.mmap, at: int, left: list[int]) -> int:
    """Where the chain of sub-blocks ends; `left` holds how many all chains together may still have."""
    allowed = left[0]
    while length := data[at]:
        at += length + 1
        allowed -= 1
        if allowed < 0:
            raise ImageTooComplex(f"the gif has more than {_MAX_SUB_BLOCKS} sub-blocks")
    left[0] = allowed
    return at + 1
