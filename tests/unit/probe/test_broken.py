"""Pictures that are cut short or broken, and whatever other bytes: facts or an error of ours."""

import re
import struct
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from imagestore.errors import ImageInvalid, ImagestoreError
from imagestore.probe import probe
from imagestore.records import Facts
from tests.pictures import Sample, animation, chunk, encode, oriented, png, talkative, texture
from tests.unit.probe.samples import LIMITS, STILLS, Read, box, heif, ispe, several


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
