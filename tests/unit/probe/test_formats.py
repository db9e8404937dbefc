"""What the probe tells of whole pictures: their format, size, frames and transparency."""

import io
import struct

import pytest
from PIL import Image

from imagestore.errors import ImageTooManyFrames, UnsupportedMediaType
from imagestore.probe import sniff
from imagestore.records import Facts
from imagestore.settings import Limits
from tests.pictures import Sample, animation, encode, oriented, plain, quadrants, texture
from tests.unit.probe.samples import STILLS, Read, several


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
