"""Small pictures made in code, each with the facts that a probe must find in its bytes.

They are written by Pillow, or by hand where Pillow has no say, and never by the engines under test.
"""

import io
import struct
import zlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageCms

from imagestore.records import Facts

RED, GREEN, BLUE, WHITE = (220, 30, 40), (30, 180, 60), (40, 60, 210), (250, 250, 250)
QUADRANTS = {"northwest": RED, "northeast": GREEN, "southwest": BLUE, "southeast": WHITE}
"""The colours of `quadrants`, by corner."""

_TRANSPOSE = Image.Transpose
# What a camera stores when the upright picture is to come out by this EXIF orientation: the inverse
# of the turn that EXIF 2.32 §4.6.4 asks of the viewer. Pillow's rotations are counter-clockwise.
_STORED = {
    2: _TRANSPOSE.FLIP_LEFT_RIGHT,
    3: _TRANSPOSE.ROTATE_180,
    4: _TRANSPOSE.FLIP_TOP_BOTTOM,
    5: _TRANSPOSE.TRANSPOSE,
    6: _TRANSPOSE.ROTATE_90,
    7: _TRANSPOSE.TRANSVERSE,
    8: _TRANSPOSE.ROTATE_270,
}
_EXIF_ORIENTATION, _EXIF_MAKE, _EXIF_MODEL, _EXIF_GPS = 0x0112, 0x010F, 0x0110, 0x8825


@dataclass(frozen=True)
class Sample:
    """The bytes of a picture and what is true of them."""

    data: bytes
    facts: Facts

    def put(self, folder: Path) -> Path:
        """Write it into `folder` under a name that says nothing of its format, as the store does."""
        path = folder / f"{zlib.crc32(self.data):08x}"
        path.write_bytes(self.data)
        return path

    def cut(self, part: float) -> "Sample":
        """Only the first `part` (0 to 1) of the bytes arrived."""
        return replace(self, data=self.data[: int(len(self.data) * part)])


def texture(width: int = 400, height: int = 300, seed: int = 7) -> Image.Image:
    """A photo-like picture: soft gradients, large and small blobs, a little noise; always the same."""
    random = np.random.default_rng(seed)
    layers: np.ndarray[Any, Any] = np.zeros((height, width, 3))
    for cells, weight in ((3, 90), (9, 70), (33, 50), (129, 45)):
        blobs = random.random((cells, cells, 3)) * 255
        bands = [Image.fromarray(blobs[:, :, band].astype("uint8")) for band in range(3)]
        wide = [np.asarray(band.resize((width, height), Image.Resampling.BICUBIC)) for band in bands]
        layers += np.stack(wide, axis=2).astype(float) * weight / 255
    return Image.fromarray(np.clip(layers, 0, 255).astype("uint8"))


def quadrants(width: int = 120, height: int = 80) -> Image.Image:
    """Four plain colours, one in each corner."""
    image = Image.new("RGB", (width, height))
    places = {"northwest": (0, 0), "northeast": (width // 2, 0)}
    places |= {"southwest": (0, height // 2), "southeast": (width // 2, height // 2)}
    for corner, at in places.items():
        image.paste(QUADRANTS[corner], (*at, at[0] + width - width // 2, at[1] + height - height // 2))
    return image


def plain(colour: tuple[int, ...], width: int = 64, height: int = 48) -> Image.Image:
    return Image.new("RGBA" if len(colour) == 4 else "RGB", (width, height), colour)


def encode(image: Image.Image, format: str, **options: Any) -> Sample:
    """A still picture as `format`; Pillow's `options` go through."""
    body = io.BytesIO()
    if format == "jpeg":
        options = {"quality": 92, **options}
    elif format in ("webp", "avif"):
        options = {"quality": 90, **options}
    image.save(body, format, **options)
    alpha = image.mode in ("RGBA", "LA") and format not in ("jpeg", "bmp")
    return Sample(body.getvalue(), Facts(format, *image.size, alpha=alpha))


def oriented(image: Image.Image, orientation: int, format: str = "jpeg") -> Sample:
    """Stored turned, with an EXIF orientation that brings `image` back upright."""
    exif = Image.Exif()
    exif[_EXIF_ORIENTATION] = orientation
    stored = image.transpose(_STORED[orientation]) if orientation in _STORED else image
    made = encode(stored, format, exif=exif.tobytes())
    return Sample(made.data, Facts(format, *image.size, orientation=orientation, alpha=made.facts.alpha))


def talkative(image: Image.Image, format: str = "jpeg") -> Sample:
    """With a camera, a place (GPS), an XMP packet and an sRGB profile in its metadata."""
    exif = Image.Exif()
    exif[_EXIF_MAKE], exif[_EXIF_MODEL] = "Leica", "M11"
    exif[_EXIF_GPS] = {1: "N", 2: (52.0, 31.0, 12.0), 3: "E", 4: (13.0, 24.0, 18.0)}
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return encode(
        image, format, exif=exif.tobytes(), icc_profile=profile, xmp=b"<x:xmpmeta>secret</x:xmpmeta>"
    )


def animation(
    format: str, colours: list[tuple[int, int, int]], *, ms: int = 80, size: tuple[int, int] = (60, 40)
) -> Sample:
    """A frame for each colour, with a black square in the upper left corner; is shown three times."""
    frames = []
    for colour in colours:
        frame = Image.new("RGB", size, colour)
        frame.paste((0, 0, 0), (0, 0, size[0] // 4, size[1] // 4))
        frames.append(frame)
    body = io.BytesIO()
    # A GIF says how often it is repeated, a WebP how often it is shown.
    options: dict[str, Any] = (
        {"lossless": True, "loop": 3} if format == "webp" else {"disposal": 1, "loop": 2}
    )
    frames[0].save(body, format, save_all=True, append_images=frames[1:], duration=ms, **options)
    return Sample(body.getvalue(), Facts(format, *size, frames=len(colours)))


def png(width: int, height: int, bits: int, kind: int, rows: bytes, *, more: bytes = b"") -> Sample:
    """A PNG by hand (W3C PNG §11): colour type `kind`, unfiltered `rows`; `more` chunks before IDAT."""
    header = struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, 0)
    length = len(rows) // height
    lines = b"".join(b"\0" + rows[at : at + length] for at in range(0, len(rows), length))
    body = chunk(b"IHDR", header) + more + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")
    return Sample(b"\x89PNG\r\n\x1a\n" + body, Facts("png", width, height, alpha=kind in (4, 6)))


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png_16_bit(width: int = 40, height: int = 30, colour: tuple[int, ...] = (65535, 32768, 0)) -> Sample:
    """16 bits a channel; two channels are grey and alpha, three are colours, four have alpha too."""
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[len(colour)]
    return png(width, height, 16, kind, struct.pack(f">{len(colour)}H", *colour) * (width * height))


def png_bomb(width: int, height: int) -> Sample:
    """A valid grey PNG that is thousands of times smaller than its pixels."""
    packer = zlib.compressobj(9)
    line = bytes(width + 1)
    data = b"".join(packer.compress(line) for _ in range(height)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    return Sample(b"\x89PNG\r\n\x1a\n" + body, Facts("png", width, height))


def png_header_only(width: int, height: int) -> Sample:
    """It claims a size, and has not one pixel."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")
    return Sample(b"\x89PNG\r\n\x1a\n" + body, Facts("png", width, height))


def png_text_bomb(chunks: int = 100, inflated: int = 16 * 1024 * 1024) -> Sample:
    """8x8 pixels, and compressed texts that inflate to `chunks * inflated` bytes."""
    text = chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(inflated), 9))
    return png(8, 8, 8, 0, bytes(64), more=text * chunks)


def gif_frame_bomb(frames: int) -> Sample:
    """Frames of one pixel on a canvas of 3000x3000 (GIF89a by hand)."""
    head = b"GIF89a" + struct.pack("<HHBBB", 3000, 3000, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff"
    frame = b"\x2c" + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\0"
    return Sample(head + frame * frames + b";", Facts("gif", 3000, 3000, frames=frames))


def jpeg_scan_bomb(scans: int, width: int = 64, height: int = 64) -> Sample:
    """A progressive JPEG whose last scan is there many times over."""
    made = encode(texture(width, height), "jpeg", progressive=True)
    start = made.data.rfind(b"\xff\xda")
    scan = made.data[start:-2]
    return Sample(made.data[:start] + scan * scans + b"\xff\xd9", made.facts)


def photo(width: int, height: int, *, seed: int = 7, quality: int = 90) -> bytes:
    """A photo-like JPEG; other seeds are other pictures."""
    return encode(texture(width, height, seed), "jpeg", quality=quality).data


def opened(body: bytes) -> Image.Image:
    """What a client sees: the bytes decoded by Pillow, which renders nothing of ours."""
    image = Image.open(io.BytesIO(body))
    image.load()
    return image


LOSSY = 6
"""How far a JPEG, WebP or AVIF may be from the colour that went in (of 255), away from edges."""


def near(image: Image.Image, at: tuple[int, int], colour: tuple[int, ...], tolerance: int = LOSSY) -> bool:
    """Whether the pixel has this colour, in RGB or with four numbers in RGBA."""
    seen = image.convert("RGBA" if len(colour) == 4 else "RGB").getpixel(at)
    assert isinstance(seen, tuple)
    return all(abs(a - b) <= tolerance for a, b in zip(seen, colour, strict=True))


def corners(image: Image.Image) -> list[str]:
    """Which colour of QUADRANTS is in each corner, in the order of QUADRANTS."""
    across, down = image.width // 8, image.height // 8
    right, bottom = image.width - 1 - across, image.height - 1 - down
    found = []
    for at in ((across, down), (right, down), (across, bottom), (right, bottom)):
        found += [name for name, colour in QUADRANTS.items() if near(image, at, colour, 25)]
    return found
