"""Pictures that were whole once: each round is another broken one, the same in each run."""

import os
import random
import struct
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

from tests import pictures
from tests.pictures import Sample, animation, encode, oriented, plain, talkative, texture
from tests.servers import ROOT

PHOTOS = Path(os.environ.get("IMAGESTORE_TEST_PHOTOS") or ROOT.parent / "shared" / "photos")
"""Pictures of others, where they are at hand; the tests do without."""

MAX_BYTES = 200_000
"""Larger ones take long, and break in the same places."""

EXTREMES = [0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF]

Mutation = Callable[[random.Random, bytes, bytes], bytes]


@cache
def whole() -> list[bytes]:
    """One picture at least of each format and kind."""
    small = texture(24, 18)
    samples: list[Sample] = [
        *(encode(small, format) for format in ("jpeg", "png", "gif", "webp", "avif", "tiff", "bmp")),
        encode(small, "jpeg", progressive=True),
        encode(small.convert("CMYK"), "jpeg"),
        encode(small, "webp", lossless=True),
        encode(small, "tiff", compression="tiff_lzw"),
        encode(small.convert("P"), "bmp"),
        encode(plain((9, 9, 9, 50)), "webp"),
        encode(plain((9, 9, 9, 50)), "avif"),
        *(talkative(small, format) for format in ("jpeg", "png", "webp")),
        oriented(small, 6),
        pictures.png_16_bit(),
        *(animation(format, [(1, 2, 3), (4, 5, 6), (7, 8, 9)]) for format in ("gif", "webp")),
    ]
    files = sorted(PHOTOS.rglob("*.*")) if PHOTOS.is_dir() else []
    others = [path.read_bytes() for path in files if path.stat().st_size <= MAX_BYTES]
    return [sample.data for sample in samples] + others


def broken(rounds: int, seed: str) -> Iterator[tuple[int, bytes]]:
    """So many broken pictures, numbered; equal seeds give equal ones."""
    for number in range(rounds):
        chance = random.Random(f"{seed} {number}")
        # By turns, so that every kind has its share.
        data, other = whole()[number % len(whole())], chance.choice(whole())
        for _ in range(chance.choice([1, 1, 2, 4])):
            data = chance.choice(MUTATIONS)(chance, data, other)
        yield number, data or b"\0"


def damaged(rounds: int, seed: str) -> Iterator[tuple[int, bytes]]:
    """So many pictures whose coded pixels are damaged, and mostly nothing of their structure."""
    picture = texture(120, 90)
    kinds: list[Sample] = [
        encode(picture, "jpeg", restart_marker_rows=1),
        *(encode(picture, "jpeg", progressive=progressive) for progressive in (False, True)),
        *(encode(picture.convert(mode), "jpeg", subsampling=0) for mode in ("L", "CMYK")),
        *(encode(picture, format) for format in ("png", "gif", "webp")),
        encode(picture, "webp", lossless=True),
        animation("gif", [(1, 2, 3), (4, 5, 6), (7, 8, 9)]),
    ]
    for number in range(rounds):
        chance = random.Random(f"{seed} {number}")
        data = bytearray(kinds[number % len(kinds)].data)
        for _ in range(chance.choice([1, 2, 10])):
            data[chance.randrange(len(data) // 4, len(data))] = chance.randrange(256)
        yield number, bytes(data)


def _place(chance: random.Random, data: bytes) -> int:
    """Somewhere in the data; half of the time among the first bytes, where the structure is."""
    end = min(len(data), 300) if chance.random() < 0.5 else len(data)
    return chance.randrange(end) if end else 0


def _flip(chance: random.Random, data: bytes, _: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(chance.choice([1, 3, 20])):
        if changed:
            changed[_place(chance, data)] ^= 1 << chance.randrange(8)
    return bytes(changed)


def _cut(chance: random.Random, data: bytes, _: bytes) -> bytes:
    return data[: _place(chance, data)]


def _lie(chance: random.Random, data: bytes, _: bytes) -> bytes:
    """A number that the structure rests on (a length, a count, a side) becomes an extreme one."""
    at, value = _place(chance, data), chance.choice(EXTREMES)
    code = chance.choice([">I", "<I", ">H", "<H"])
    number = struct.pack(code, value & (0xFFFF if code[1] == "H" else 0xFFFFFFFF))
    return data[:at] + number + data[at + len(number) :]


def _splice(chance: random.Random, data: bytes, other: bytes) -> bytes:
    return data[: _place(chance, data)] + other[_place(chance, other) :]


def _repeat(chance: random.Random, data: bytes, _: bytes) -> bytes:
    at, end = sorted((_place(chance, data), _place(chance, data)))
    return data[:end] + data[at:end] * chance.choice([1, 5, 50]) + data[end:]


def _drop(chance: random.Random, data: bytes, _: bytes) -> bytes:
    at, end = sorted((_place(chance, data), _place(chance, data)))
    return data[:at] + data[end:]


def _noise(chance: random.Random, data: bytes, _: bytes) -> bytes:
    at = _place(chance, data)
    return data[:at] + chance.randbytes(chance.choice([1, 16, 300])) + data[at:]


MUTATIONS: list[Mutation] = [_flip, _cut, _lie, _lie, _splice, _repeat, _drop, _noise]
