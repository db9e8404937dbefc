"""Pictures of too many pixels, frames or parts are refused, and soon."""

import struct
import time
import zlib

import pytest

from imagestore.errors import ImageInvalid, ImageTooComplex, ImageTooLarge, ImageTooManyFrames
from imagestore.records import Facts
from imagestore.settings import MIB
from tests.pictures import (
    animation,
    chunk,
    gif_frame_bomb,
    jpeg_scan_bomb,
    png,
    png_bomb,
    png_header_only,
    png_text_bomb,
)
from tests.unit.probe.samples import STILLS, Read, box, heif, ispe

SECONDS = 3.0
"""What a hostile 32 MB may take on a busy machine; about 1 s on an idle one."""


def test_sides_and_areas_over_the_limit_are_too_large(read: Read) -> None:
    assert read(png_header_only(16_383, 3051).data).width == 16_383
    for width, height in ((16_384, 1), (1, 16_384), (7072, 7072), (2**31 - 1, 2**31 - 1)):
        with pytest.raises(ImageTooLarge):
            read(png_header_only(width, height).data)
    with pytest.raises(ImageTooLarge):
        read(png_bomb(11_000, 11_000).data)


def test_a_gif_of_many_frames_is_refused(read: Read) -> None:
    with pytest.raises(ImageTooManyFrames):
        read(gif_frame_bomb(100_000).data)
    with pytest.raises(ImageTooManyFrames, match="pixels together"):
        read(gif_frame_bomb(12).data)
    assert read(gif_frame_bomb(11).data).frames == 11


def test_a_webp_of_many_frames_is_refused(read: Read) -> None:
    sample = animation("webp", [(9, 9, 9), (99, 9, 9)])
    start = sample.data.rindex(b"ANMF")
    body = sample.data[12:] + sample.data[start:] * 300
    data = b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body

    with pytest.raises(ImageTooManyFrames):
        read(data)


def png_with(*chunks: bytes) -> bytes:
    return png(8, 8, 8, 0, bytes(64), more=b"".join(chunks)).data


@pytest.mark.parametrize(
    ("name", "before"), [(b"zTXt", b"Comment\0\0"), (b"iTXt", b"XML\0\1\0\0\0"), (b"iCCP", b"profile\0\0")]
)
def test_png_texts_and_profiles_inflate_to_1_mib_at_most(name: bytes, before: bytes, read: Read) -> None:
    allowed, too_much = (chunk(name, before + zlib.compress(bytes(size), 9)) for size in (MIB, MIB + 1))

    assert read(png_with(allowed)) == Facts("png", 8, 8)
    with pytest.raises(ImageTooComplex):
        read(png_with(too_much))


def test_png_has_100_texts_at_most(read: Read) -> None:
    text = chunk(b"tEXt", b"Comment\0hello")

    assert read(png_with(text * 100)) == Facts("png", 8, 8)
    with pytest.raises(ImageTooComplex):
        read(png_with(text * 101))
    with pytest.raises(ImageTooComplex):
        read(png_text_bomb().data)


def test_a_text_that_does_not_inflate_is_no_reason_to_refuse(read: Read) -> None:
    assert read(png_with(chunk(b"zTXt", b"Comment\0\0rubbish"), chunk(b"iTXt", b"cut"))) == Facts("png", 8, 8)


def test_jpeg_has_100_scans_at_most(read: Read) -> None:
    usual = STILLS["jpeg progressive"].data.count(b"\xff\xda")

    assert read(jpeg_scan_bomb(101 - usual).data) == Facts("jpeg", 64, 64)
    with pytest.raises(ImageTooComplex):
        read(jpeg_scan_bomb(102 - usual).data)


def test_deep_boxes_are_too_complex(read: Read) -> None:
    nested = box(b"stbl")
    for _ in range(20):
        nested = box(b"trak", nested)

    with pytest.raises(ImageTooComplex, match="nested"):
        read(heif([ispe(4, 4)], [1]) + box(b"moov", nested))


GIF_HEAD = b"GIF89a\1\0\1\0\0\0\0"
PNG_HEAD = png_header_only(8, 8).data[:33]
ONE_TEXT = chunk(b"zTXt", b"C\0\0" + zlib.compress(bytes(MIB), 9))
WEBP_JUNK = (b"WEBPVP8X\x0a\0\0\0" + bytes(10) + b"JUNK\0\0\0\0" * (4 * MIB))[: 32 * MIB]
FLOODS = {
    "gif sub-blocks of one byte": GIF_HEAD + b"!\xfe" + b"\1x" * (16 * MIB),
    "gif blocks": GIF_HEAD + b"!\xfe\0" * (10 * MIB),
    "gif padding": GIF_HEAD + bytes(32 * MIB),
    "jpeg comments": b"\xff\xd8" + b"\xff\xfe\0\2" * (8 * MIB),
    "jpeg stuffing before a marker": b"\xff\xd8" + b"\xff\0" * (16 * MIB),
    "jpeg stuffing in a scan": b"\xff\xd8\xff\xda\0\2" + b"\xff\0" * (16 * MIB),
    "jpeg restarts": b"\xff\xd8\xff\xda\0\2" + b"\xff\xd0" * (16 * MIB),
    "jpeg restarts outside": b"\xff\xd8" + b"\xff\xd0" * (16 * MIB),
    "jpeg fill": b"\xff\xd8" + b"\xff" * (32 * MIB),
    "jpeg fill in a scan": b"\xff\xd8\xff\xda\0\2" + b"\xff" * (32 * MIB),
    "png chunks": PNG_HEAD + chunk(b"jUNK", b"") * (32 * MIB // 12),
    "png profiles": PNG_HEAD + ONE_TEXT.replace(b"zTXt", b"iCCP") * 20_000,
    "webp chunks": b"RIFF" + struct.pack("<I", len(WEBP_JUNK)) + WEBP_JUNK,
    "tiff pages": b"II*\0\x08\0\0\0" + b"\xff\xff" + bytes(32 * MIB),
    "boxes": box(b"ftyp", b"heic", bytes(4), b"mif1heic") + box(b"free") * (4 * MIB),
    "box properties": heif([box(b"irot", b"\0")] * 1_000_000, [1]),
}


@pytest.mark.parametrize("data", FLOODS.values(), ids=FLOODS)
def test_32_megabytes_of_small_things_end_soon(data: bytes, read: Read) -> None:
    started = time.process_time()

    with pytest.raises((ImageInvalid, ImageTooComplex)):
        read(data)

    assert time.process_time() - started < SECONDS


def test_many_references_to_one_item_end_soon(read: Read) -> None:
    many = [ispe(4, 4), box(b"irot", b"\0")]
    references = struct.pack(">HH", 1, 40_000) + b"\0\1" * 40_000
    data = heif(many, [2] * 254 + [1], more=box(b"iref", bytes(4), box(b"dimg", references)))
    started = time.process_time()

    assert read(data) == Facts("heic", 4, 4)
    assert time.process_time() - started < SECONDS
