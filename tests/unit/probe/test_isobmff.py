"""AVIF and HEIC by hand, since no library here writes these boxes."""

import struct

import pytest

from imagestore.errors import ImageInvalid, ImageTooManyFrames
from imagestore.records import Facts
from imagestore.settings import Limits
from tests.unit.probe.samples import Read, box, heif, ispe


def clap(width: int, height: int) -> bytes:
    return box(b"clap", struct.pack(">8I", width, 1, height, 1, 0, 1, 0, 1))


@pytest.mark.parametrize(
    ("properties", "size"),
    [
        ([ispe(40, 30)], (40, 30)),
        ([ispe(40, 30), box(b"irot", b"\1")], (30, 40)),
        ([ispe(40, 30), box(b"irot", b"\2")], (40, 30)),
        ([ispe(40, 30), box(b"irot", b"\3"), box(b"imir", b"\1")], (30, 40)),
        ([ispe(40, 30), clap(20, 10)], (20, 10)),
        ([ispe(40, 30), clap(20, 10), box(b"irot", b"\1")], (10, 20)),
    ],
)
def test_heif_properties_turn_and_crop_the_picture(
    properties: list[bytes], size: tuple[int, int], read: Read
) -> None:
    assert read(heif(properties, list(range(1, len(properties) + 1)))) == Facts("heic", *size)


def test_the_size_is_the_primary_items_and_not_a_thumbnails(read: Read) -> None:
    assert read(heif([ispe(1, 1), ispe(40, 30)], [2])) == Facts("heic", 40, 30)


def test_a_small_grid_of_huge_tiles_is_refused(read: Read) -> None:
    reference = box(b"iref", bytes(4), box(b"dimg", b"\0\1\0\2\0\1\0\1"))
    large = Limits(max_pixels=2000, max_total_pixels=2399)

    with pytest.raises(ImageTooManyFrames):
        read(heif([ispe(40, 30)], [1], more=reference), large)
    assert read(heif([ispe(40, 30)], [1], more=reference)) == Facts("heic", 40, 30)


def test_an_item_beyond_the_end_is_cut_short(read: Read) -> None:
    def with_item(offset: int) -> bytes:
        item = struct.pack(">HHHII", 1, 0, 1, offset, 10)
        return heif([ispe(4, 3)], [1], more=box(b"iloc", bytes(4), b"\x44\0\0\1", item)) + box(
            b"mdat", bytes(32)
        )

    assert read(with_item(20)) == Facts("heic", 4, 3)
    with pytest.raises(ImageInvalid, match="cut short"):
        read(with_item(5000))


def test_heif_without_a_picture_is_invalid(read: Read) -> None:
    with pytest.raises(ImageInvalid, match="no primary"):
        read(box(b"ftyp", b"heic", bytes(4), b"mif1heic") + box(b"mdat", bytes(8)))
    with pytest.raises(ImageInvalid, match="0 x 0"):
        read(heif([], []))
    with pytest.raises(ImageInvalid, match="fraction by zero"):
        read(heif([ispe(4, 4), box(b"clap", bytes(32))], [1, 2]))
