"""Facts from the bytes of a picture, and refusal of bytes that would cost too much to decode."""

import io
import re
import struct
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from imagestore.errors import (
    ImageInvalid,
    ImagestoreError,
    ImageTooComplex,
    ImageTooLarge,
    ImageTooManyFrames,
    UnsupportedMediaType,
)
from imagestore.probe import probe, sniff
from imagestore.records import Facts
from imagestore.settings import MIB, Limits
from tests.pictures import (
    Sample,
    animation,
    chunk,
    encode,
    gif_frame_bomb,
    jpeg_scan_bomb,
    oriented,
    plain,
    png,
    png_16_bit,
    png_bomb,
    png_header_only,
    png_text_bomb,
    quadrants,
    talkative,
    texture,
)

LIMITS = Limits()
SECONDS = 3.0
"""What a hostile 32 MB may take on a busy machine; about 1 s on an idle one."""


@pytest.fixture
def read(tmp_path: Path) -> Callable[[bytes], Facts]:
    def read(data: bytes, limits: Limits = LIMITS) -> Facts:
        path = tmp_path / "picture"
        path.write_bytes(data)
        return probe(path, limits)

    return read


Read = Callable[..., Facts]

STILLS = {
    "jpeg": encode(texture(90, 70), "jpeg"),
    "jpeg progressive": encode(texture(90, 70), "jpeg", progressive=True),
    "jpeg with restarts": encode(texture(90, 70), "jpeg", restart_marker_rows=1),
    "jpeg grey": encode(texture(90, 70).convert("L"), "jpeg"),
    "jpeg cmyk": encode(texture(90, 70).convert("CMYK"), "jpeg"),
    "jpeg with all metadata": talkative(texture(90, 70)),
    "png": encode(texture(90, 70), "png"),
    "png alpha": encode(plain((9, 9, 9, 50)), "png"),
    "png 16 bits": png_16_bit(),
    "png 16 bits grey and alpha": png_16_bit(colour=(9, 9)),
    "png with all metadata": talkative(texture(90, 70), "png"),
    "gif": encode(texture(90, 70), "gif"),
    "webp": encode(texture(91, 70), "webp"),
    "webp lossless": encode(texture(91, 70), "webp", lossless=True),
    "webp alpha": encode(plain((9, 9, 9, 50)), "webp"),
    "webp lossless alpha": encode(plain((9, 9, 9, 50)), "webp", lossless=True),
    "webp with all metadata": talkative(texture(90, 70), "webp"),
    "avif": encode(texture(91, 71), "avif"),
    "avif alpha": encode(plain((9, 9, 9, 50)), "avif"),
    "tiff": encode(texture(90, 70), "tiff"),
    "tiff alpha": encode(plain((9, 9, 9, 50)), "tiff"),
    "tiff lzw": encode(texture(90, 70), "tiff", compression="tiff_lzw"),
    "bmp": encode(texture(91, 70), "bmp"),
    "bmp palette": encode(texture(91, 70).convert("P"), "bmp"),
    "bmp one bit": encode(texture(91, 70).convert("1"), "bmp"),
}


# Formats.


@pytest.mark.parametrize(
    ("head", "format"),
    [
        (b"\xff\xd8\xff\xe0\0\x10JFIF\0", "jpeg"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "png"),
        (b"GIF87a\1\0\1\0", "gif"),
        (b"GIF89a\1\0\1\0", "gif"),
        (b"RIFF\x24\0\0\0WEBPVP8 ", "webp"),
        (b"II*\0\x08\0\0\0", "tiff"),
        (b"MM\0*\0\0\0\x08", "tiff"),
        (b"BM" + bytes(12) + b"\x28\0\0\0", "bmp"),
        (b"\0\0\0\x18ftypavif\0\0\0\0mif1miaf", "avif"),
        (b"\0\0\0\x18ftypavis\0\0\0\0mif1miaf", "avif"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0miafavif", "avif"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "heic"),
        (b"\0\0\0\x18ftypheix\0\0\0\0mif1heix", "heic"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", "heic"),
    ],
)
def test_a_format_is_known_by_its_first_bytes(head: bytes, format: str) -> None:
    assert sniff(head) == format


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"\xff",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"<?xml version='1.0'?><svg/>",
        b"<html><img src=x>",
        b"%PDF-1.7\n",
        b"%!PS-Adobe-3.0 EPSF-3.0",
        b"push graphic-context\nviewbox 0 0 640 480",
        b"<image>\n<read filename='/etc/passwd'/>",
        b"BM is how this text begins, and not a picture at all",
        b"\0\0\0\x0cjP  \r\n\x87\n\0\0\0\x14ftypjp2 ",
        b"\xff\x4f\xff\x51\0\x2f",
        b"\0\0\1\0\1\0\x10\x10\0\0\1\0",
        b"8BPS\0\1\0\0\0\0\0\0\0\3",
        b"\0\0\0\x18ftypisom\0\0\2\0isomiso2avc1mp41",
        b"\0\0\0\x14ftypqt  \0\0\0\0qt  ",
        b"\0\0\0\x18ftypmif1\0\0\0\0mif1miaf",
        b"\x1a\x45\xdf\xa3\x01\0\0\0\0\0\0\x23B\x86\x81\x01webm",
        b"RIFF\x24\0\0\0AVI LIST",
        b"RIFF\x24\0\0\0WAVEfmt ",
        b"II+\0\x08\0\0\0",
        b"II*\0\x10\0\0\0CR\x02\0",
        b"\xff\x0a\xfa\x1f\x01",
        b"P6 2 2 255\n",
        b"text:/etc/passwd",
        b"\x7fELF\2\1\1",
    ],
)
def test_everything_else_is_refused(head: bytes, read: Read) -> None:
    with pytest.raises(UnsupportedMediaType):
        sniff(head)
    with pytest.raises(UnsupportedMediaType):
        read(head + bytes(200) if len(head) > 1 else head)


# Facts.


@pytest.mark.parametrize("sample", STILLS.values(), ids=STILLS)
def test_a_still_picture_has_the_size_and_alpha_it_was_made_with(sample: Sample, read: Read) -> None:
    assert read(sample.data) == sample.facts


@pytest.mark.parametrize("format", ["jpeg", "png", "webp", "tiff"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_sizes_are_upright_by_exif(format: str, orientation: int, read: Read) -> None:
    sample = oriented(quadrants(60, 40), orientation, format)

    assert read(sample.data) == sample.facts


def test_a_broken_exif_block_is_no_orientation(read: Read) -> None:
    exif = b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\x01\x12"
    plainly = encode(texture(30, 20), "jpeg").data
    segment = b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif

    assert read(plainly[:2] + segment + plainly[2:]) == Facts("jpeg", 30, 20)


@pytest.mark.parametrize("format", ["gif", "webp"])
def test_animations_count_their_frames_and_show_the_canvas(format: str, read: Read) -> None:
    sample = animation(format, [(250, 0, 0), (0, 250, 0), (0, 0, 250)])
    facts = read(sample.data)

    assert (facts.width, facts.height, facts.frames) == (60, 40, 3)


def several(format: str, count: int, **options: object) -> bytes:
    body = io.BytesIO()
    pages = [texture(40, 30, seed) for seed in range(count)]
    pages[0].save(body, format, save_all=True, append_images=pages[1:], **options)
    return body.getvalue()


@pytest.mark.parametrize(("kind", "format"), [("png", "png"), ("tiff", "tiff"), ("avif", "avif")])
def test_what_engines_cannot_animate_is_one_picture_but_counts_for_the_limits(
    kind: str, format: str, read: Read
) -> None:
    data = several(kind, 4)

    facts = read(data)

    assert facts == Facts(format, 40, 30, frames=1)
    with pytest.raises(ImageTooManyFrames):
        read(data, Limits(max_frames=3))
    with pytest.raises(ImageTooManyFrames):
        read(data, Limits(max_total_pixels=4 * 40 * 30 - 1))


def test_transparency_of_a_palette_is_alpha(read: Read) -> None:
    body = io.BytesIO()
    Image.new("P", (5, 4)).save(body, "png", transparency=0)

    assert read(body.getvalue()) == Facts("png", 5, 4, alpha=True)


def test_alpha_of_gif_is_its_transparent_colour(read: Read) -> None:
    assert read(encode(plain((1, 2, 3, 0)), "gif").data).alpha
    assert not read(encode(plain((1, 2, 3)), "gif").data).alpha


def test_an_os2_and_a_top_down_bmp(read: Read) -> None:
    core = (
        b"BM" + struct.pack("<IHHI", 26 + 16, 0, 0, 26) + struct.pack("<IHHHH", 12, 4, 2, 1, 24) + bytes(24)
    )
    modern = bytearray(encode(texture(4, 2), "bmp").data)
    struct.pack_into("<i", modern, 22, -2)

    assert read(core) == Facts("bmp", 4, 2)
    assert read(bytes(modern)) == Facts("bmp", 4, 2)


# AVIF and HEIC by hand, since no library here writes these boxes.


def box(kind: bytes, *content: bytes) -> bytes:
    body = b"".join(content)
    return struct.pack(">I4s", 8 + len(body), kind) + body


def heif(properties: list[bytes], order: list[int], *, more: bytes = b"", brand: bytes = b"heic") -> bytes:
    """A file whose primary item 1 has the `properties` numbered in `order` (ISO/IEC 23008-12 §9.3)."""
    associations = bytes([len(order), *order])
    return box(b"ftyp", brand, bytes(4), b"mif1", brand) + box(
        b"meta",
        bytes(4),
        box(b"pitm", bytes(4), b"\0\1"),
        box(b"iprp", box(b"ipco", *properties), box(b"ipma", bytes(4), b"\0\0\0\1\0\1", associations)),
        more,
    )


def ispe(width: int, height: int) -> bytes:
    return box(b"ispe", bytes(4), struct.pack(">II", width, height))


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


# Cut short, broken, and junk after the end.


@pytest.mark.parametrize("part", [0.3, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("sample", STILLS.values(), ids=STILLS)
def test_a_picture_that_is_cut_short_is_invalid(sample: Sample, part: float, read: Read) -> None:
    with pytest.raises(ImageInvalid):
        read(sample.cut(part).data)


@pytest.mark.parametrize("format", ["gif", "webp"])
def test_an_animation_that_is_cut_short_is_invalid(format: str, read: Read) -> None:
    data = animation(format, [(250, 0, 0), (0, 250, 0)]).data

    with pytest.raises(ImageInvalid, match="cut short"):
        read(data[:-1])


@pytest.mark.parametrize("name", [name for name in STILLS if not name.startswith("avif")])
def test_junk_after_the_end_is_left_alone(name: str, read: Read) -> None:
    sample = STILLS[name]

    assert read(sample.data + b"\0<script>junk</script>\xff\xd8\xff" * 20) == sample.facts


@pytest.mark.parametrize("marker", [0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF])
def test_jpeg_kinds_that_no_engine_decodes_are_invalid(marker: int, read: Read) -> None:
    data = encode(texture(16, 16), "jpeg").data

    with pytest.raises(ImageInvalid, match="lossless, hierarchical or arithmetic"):
        read(data.replace(b"\xff\xc0", bytes([0xFF, marker]), 1))


def altered(sample: Sample, pattern: bytes, at: int, new: bytes) -> bytes:
    """The bytes with `new` at `at` bytes after the first match of `pattern`."""
    found = re.search(pattern, sample.data, re.DOTALL)
    assert found is not None
    start = found.start() + at
    return sample.data[:start] + new + sample.data[start + len(new) :]


def circular_tiff() -> bytes:
    """A page whose next page is itself."""
    data = bytearray(several("tiff", 1))
    (page,) = struct.unpack_from("<I", data, 4)
    (entries,) = struct.unpack_from("<H", data, page)
    struct.pack_into("<I", data, page + 2 + 12 * entries, page)
    return bytes(data)


BROKEN = {
    "jpeg of no height": altered(STILLS["jpeg"], b"\xff\xc0", 5, b"\0\0"),
    "jpeg of no width": altered(STILLS["jpeg"], b"\xff\xc0", 7, b"\0\0"),
    "jpeg of 12 bits": altered(STILLS["jpeg"], b"\xff\xc0", 4, b"\x0c"),
    "jpeg of 2 components": altered(STILLS["jpeg"], b"\xff\xc0", 9, b"\2"),
    "jpeg without a scan": b"\xff\xd8\xff\xfe\0\4hi\xff\xd9",
    "jpeg in a jpeg": b"\xff\xd8" + STILLS["jpeg"].data,
    "jpeg twice": STILLS["jpeg"].data[:-2] + STILLS["jpeg"].data[2:],
    "png of no width": png(1, 1, 8, 0, b"\0").data.replace(b"IHDR\0\0\0\1", b"IHDR\0\0\0\0"),
    "png of 3 bits": altered(STILLS["png"], b"IHDR", 12, b"\3"),
    "png of colour type 5": altered(STILLS["png"], b"IHDR", 13, b"\5"),
    "png without header": STILLS["png"].data[:8] + STILLS["png"].data[33:],
    "png without pixels": b"\x89PNG\r\n\x1a\n" + STILLS["png"].data[8:33] + chunk(b"IEND", b""),
    "gif of no width": b"GIF89a\0\0\1\0\0\0\0;",
    "gif without frames": b"GIF89a\1\0\1\0\0\0\0;",
    "gif of an unknown block": b"GIF89a\1\0\1\0\0\0\0\x55;",
    "gif frame outside": altered(STILLS["gif"], b"\x2c\0\0\0\0Z\0", 1, b"\1\0"),
    "webp of nothing": b"RIFF\x04\0\0\0WEBP",
    "webp of no picture": b"RIFF\x10\0\0\0WEBPJUNK\4\0\0\0abcd",
    "webp of two sizes": altered(STILLS["webp alpha"], b"VP8X", 12, b"\x07\0\0"),
    "webp frame outside": altered(animation("webp", [(9, 9, 9), (99, 9, 9)]), b"ANMF", 8, b"\x20\0\0"),
    "webp of no key frame": altered(STILLS["webp"], b"VP8 ", 11, b"\0"),
    "tiff of no pages": b"II*\0\0\0\0\0",
    "tiff in a circle": circular_tiff(),
    "bmp of no width": altered(STILLS["bmp"], b"BM", 18, bytes(4)),
    "bmp of negative width": altered(STILLS["bmp"], b"BM", 18, b"\xff\xff\xff\xff"),
    "bmp that holds a png": altered(STILLS["bmp"], b"BM", 30, b"\5"),
    "bmp of 5 bits": altered(STILLS["bmp"], b"BM", 28, b"\5"),
}


@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN)
def test_a_broken_picture_is_invalid(data: bytes, read: Read) -> None:
    with pytest.raises(ImageInvalid):
        read(data)


# Limits.


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


# Whatever the bytes.


def outcome(data: bytes, folder: Path) -> Facts | ImagestoreError:
    path = folder / "picture"
    path.write_bytes(data)
    try:
        return probe(path, LIMITS)
    except ImagestoreError as error:
        return error


SMALL = [
    *(
        encode(texture(20, 15), format).data
        for format in ("jpeg", "png", "gif", "webp", "avif", "tiff", "bmp")
    ),
    encode(texture(20, 15), "jpeg", progressive=True).data,
    talkative(texture(20, 15), "png").data,
    talkative(texture(20, 15), "webp").data,
    oriented(texture(20, 15), 6, "tiff").data,
    animation("gif", [(1, 2, 3), (4, 5, 6)], size=(8, 8)).data,
    animation("webp", [(1, 2, 3), (4, 5, 6)], size=(8, 8)).data,
    several("tiff", 2),
    several("avif", 2),
    heif(
        [ispe(4, 3), box(b"irot", b"\1")], [1, 2], more=box(b"iref", bytes(4), box(b"dimg", b"\0\1\0\1\0\1"))
    ),
]
HEADS = sorted({data[:n] for data in SMALL for n in (4, 12, 33)})
QUICK = settings(max_examples=300, deadline=2000, suppress_health_check=[HealthCheck.function_scoped_fixture])


@QUICK
@given(head=st.sampled_from(HEADS), rest=st.binary(max_size=300))
def test_arbitrary_bytes_give_facts_or_an_error_of_ours(tmp_path: Path, head: bytes, rest: bytes) -> None:
    assert isinstance(outcome(head + rest, tmp_path), Facts | ImagestoreError)


@QUICK
@given(
    data=st.sampled_from(SMALL),
    changes=st.lists(
        st.tuples(st.integers(0, 400), st.sampled_from([0, 1, 2, 4, 127, 128, 254, 255])), max_size=8
    ),
    end=st.integers(0, 3000),
)
def test_a_mutated_picture_gives_facts_or_an_error_of_ours(
    tmp_path: Path, data: bytes, changes: list[tuple[int, int]], end: int
) -> None:
    mutated = bytearray(data[: end or None])
    for at, value in changes:
        if at < len(mutated):
            mutated[at] = value

    seen = outcome(bytes(mutated), tmp_path)

    assert isinstance(seen, Facts | ImagestoreError)
    if isinstance(seen, Facts):
        assert 1 <= seen.width <= LIMITS.max_side
        assert 1 <= seen.height <= LIMITS.max_side
        assert 1 <= seen.frames <= LIMITS.max_frames
        assert 1 <= seen.orientation <= 8
