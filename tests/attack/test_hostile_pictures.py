"""Files that are made to harm whoever opens them: bombs, ImageMagick's scripts, two formats in one file."""

import io
import struct
import time
import zipfile
import zlib

import pytest
from PIL import Image

from tests import pictures
from tests.api.asking import assert_problem
from tests.imagestack import ImageStack
from tests.pictures import chunk, png

SECRET = b"root:x:0:0"
"""What /etc/passwd begins with."""

BOMB_S = 30.0
"""Over the 10 s of a decode, on a slow machine."""


def mib_of_zeros(count: int) -> bytes:
    return zlib.compress(bytes(count * 1024 * 1024), 9)


def tiff(width: int, height: int, *, strips: int = 1) -> bytes:
    """A little-endian grey TIFF (TIFF 6.0) whose strips all are the same few bytes."""
    tags = [(256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1)]
    tags += [(273, 4, strips, 8), (277, 3, 1, 1), (278, 4, 1, max(1, height // strips)), (279, 4, strips, 8)]
    entries = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    return b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", len(tags)) + entries + bytes(4) + bytes(64)


BOMBS = {
    "pixels": (pictures.png_bomb(11_000, 11_000).data, "image-too-large"),
    "a long side": (pictures.png_bomb(20_000, 2).data, "image-too-large"),
    "texts": (pictures.png_text_bomb(100).data, "image-too-complex"),
    "an international text": (
        png(8, 8, 8, 0, bytes(64), more=chunk(b"iTXt", b"a\0\1\0\0\0" + mib_of_zeros(16))).data,
        "image-too-complex",
    ),
    "a colour profile": (
        png(8, 8, 8, 0, bytes(64), more=chunk(b"iCCP", b"a\0\0" + mib_of_zeros(64))).data,
        "image-too-complex",
    ),
    "frames": (pictures.gif_frame_bomb(100_000).data, "image-too-many-frames"),
    "a canvas of frames": (pictures.gif_frame_bomb(200).data, "image-too-many-frames"),
    "scans": (pictures.jpeg_scan_bomb(5_000).data, "image-too-complex"),
    "a tiff of 4 billion pixels": (tiff(65_535, 65_535), "image-too-large"),
    "a tiff of endless strips": (tiff(7_000, 7_000, strips=2**31), "image-too-complex"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_and_others_are_served(attacked: ImageStack, name: str) -> None:
    body, problem = BOMBS[name]
    started = time.monotonic()

    answer = attacked.writer.put("/bombs/x", content=body)

    assert_problem(answer, 422, problem)
    assert time.monotonic() - started < BOMB_S
    assert attacked.http.get("/demo/photo-0.jpg").status_code == 200


SCRIPTS = {
    "mvg": b"push graphic-context\nviewbox 0 0 640 480\n"
    b"fill 'url(https://127.0.0.1/x.jpg\"|touch \"/tmp/pwned)'\npop graphic-context",
    **{
        f"mvg, {name}": b"push graphic-context\nimage over 0,0 0,0 '%s'\npop graphic-context\n" % command
        for name, command in {
            "label": b"label:@/etc/passwd",
            "ephemeral": b"ephemeral:/tmp/delete.txt",
            "msl": b"msl:/tmp/msl.txt",
        }.items()
    },
    "msl": b'<?xml version="1.0"?><image><read filename="/etc/passwd"/>'
    b'<write filename="/tmp/pwned.php"/></image>',
    "svg": b'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">'
    b'<image xlink:href="text:/etc/passwd" width="9" height="9"/></svg>',
    "svg with a script": b"\xef\xbb\xbf  <!-- x -->"
    b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>",
    "svg with entities": b'<!DOCTYPE svg [<!ENTITY x SYSTEM "file:///etc/passwd">]><svg>&x;</svg>',
    "gzipped svg": b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + zlib.compress(b"<svg/>")[2:],
    "postscript": b"%!PS\nuserdict /setpagedevice undef\n{ null restore } stopped { pop } if\n(id) file\n",
    "eps": b"\xc5\xd0\xd3\xc6" + bytes(28) + b"%!PS-Adobe-3.0 EPSF-3.0\n",
    "pdf": b"%PDF-1.4\n1 0 obj<</Type/Catalog/OpenAction<</S/JavaScript/JS(app.alert(1))>>>>endobj\n",
    "xbm": b"#define x_width 9\n#define x_height 9\nstatic char x_bits[] = { 0x00 };\n",
    "xpm": b'/* XPM */\nstatic char *x[] = {"1 1 1 1", "a c #000", "a"};\n',
    "pnm": b"P6 9999 9999 255\n",
    "photoshop": b"8BPS\0\1" + bytes(60),
    "dicom": bytes(128) + b"DICM",
    "text": b"label:@/etc/passwd",
    "hls": b"#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:0\n#EXTINF:10.0,\nconcat:file:///etc/passwd\n#EXT-X-ENDLIST",
    "html": b"<!doctype html><script>alert(1)</script>",
    "icon": b"\0\0\1\0\1\0" + bytes(60),
    "video": b"\x1aE\xdf\xa3" + bytes(60),
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_of_imagemagick_is_no_picture(attacked: ImageStack, name: str) -> None:
    for declared in ("image/png", "application/octet-stream"):
        answer = attacked.writer.put(
            "/scripts/x.png", content=SCRIPTS[name], headers={"Content-Type": declared}
        )

        assert_problem(answer, 415, "unsupported-media-type")


@pytest.mark.parametrize("magic", [b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"II*\0", b"BM"])
def test_a_script_behind_the_first_bytes_of_a_picture_is_none(attacked: ImageStack, magic: bytes) -> None:
    for script in SCRIPTS.values():
        answer = attacked.writer.put("/scripts/x", content=magic + script)

        assert answer.status_code in (415, 422), answer.text
        assert SECRET not in answer.content


COMMANDS = [
    *("label:@/etc/passwd", "text:/etc/passwd", "ephemeral:/tmp/x", "msl:/tmp/x.msl", "mvg:x", "vid:*.png"),
    *(
        "xc:red",
        "plasma:fractal",
        "https://127.0.0.1/x",
        "file:///etc/passwd",
        "|touch x",
        "fd:0",
        "x[9999x9999]",
    ),
    *(
        "-write x",
        "%[fx:1]",
        "inline:data:text/plain,x",
        "epdf:x",
        "pango:@x",
        "caption:@x",
        "win:x",
        "null:",
    ),
]


@pytest.mark.parametrize("name", COMMANDS)
def test_a_name_that_commands_imagemagick_is_only_a_name(attacked: ImageStack, name: str) -> None:
    body = pictures.encode(pictures.plain((9, 9, 9), 30, 20), "bmp").data

    stored = attacked.upload(body, "watermark", name)
    file = {"file": (name, body, name)}
    again = attacked.writer.post("/image/upload", files=file, data={"domain": "named", "dkey": name})
    shown = attacked.http.get(
        "/image/read", params={"id": stored["id"], "width": "10", "format": "gif", "watermark": name}
    )

    assert stored["dkey"] == again.json()["dkey"] == name
    assert (shown.status_code, pictures.opened(shown.content).size) == (200, (10, 7))


def jar() -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("META-INF/MANIFEST.MF", "Manifest-Version: 1.0\nMain-Class: Evil\n")
    return packed.getvalue()


HTML = b"<html><body><script>alert(document.domain)</script></body></html>"
PHOTO = pictures.encode(pictures.texture(40, 30), "jpeg").data
GIF = pictures.encode(pictures.texture(40, 30), "gif").data
PNG = pictures.encode(pictures.texture(40, 30), "png").data


def with_comment(body: bytes, comment: bytes) -> bytes:
    """A JPEG with a comment segment at its start (ITU-T T.81 §B.2.4.5)."""
    return body[:2] + b"\xff\xfe" + struct.pack(">H", len(comment) + 2) + comment + body[2:]


POLYGLOTS = {
    "gif and jar": GIF + jar(),
    "jpeg and jar": PHOTO + jar(),
    "jpeg and html": with_comment(PHOTO, HTML),
    "jpeg and html behind it": PHOTO + HTML,
    "jpeg and pdf": with_comment(PHOTO, b"%PDF-1.4\n1 0 obj<</OpenAction<</S/JavaScript>>>>endobj\n"),
    "jpeg and php": with_comment(PHOTO, b"<?php system($_GET['c']); ?>"),
    "png and html": png(8, 8, 8, 0, bytes(64), more=chunk(b"tEXt", b"Comment\0" + HTML)).data,
    # CVE-2022-44268: ImageMagick read the named file into the picture that it wrote.
    "png with a profile's name": png(
        8, 8, 8, 0, bytes(64), more=chunk(b"tEXt", b"profile\0/etc/passwd")
    ).data,
    "png and php behind it": PNG + b"<?php phpinfo(); ?>",
}


@pytest.mark.parametrize("name", POLYGLOTS)
def test_two_formats_in_one_file_are_a_picture_and_nothing_else(attacked: ImageStack, name: str) -> None:
    body = POLYGLOTS[name]
    stored = attacked.upload(body, "polyglots", f"{name}.html")

    for path in (f"/polyglots/{name}.html", f"/image/read?id={stored['id']}"):
        original = attacked.http.get(path)
        assert original.content == body
        assert original.headers["Content-Type"] == stored["content_type"]
        assert original.headers["X-Content-Type-Options"] == "nosniff"
        assert original.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
    for format in ("png", "jpeg", "gif", "webp"):
        shown = attacked.http.get(f"/image/read?id={stored['id']}&width=7&format={format}").content
        assert pictures.opened(shown).size[0] == 7
        for payload in (b"script", b"php", b"PDF", b"MANIFEST", SECRET, SECRET.hex().encode()):
            assert payload not in shown


def test_an_orientation_that_lies_and_a_thumbnail_inside_change_nothing(attacked: ImageStack) -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 9, HTML.decode()
    body = pictures.encode(pictures.texture(40, 30), "jpeg", exif=exif.tobytes()).data

    stored = attacked.upload(body, "polyglots", "exif")

    assert (stored["width"], stored["height"]) == (40, 30)
    shown = attacked.http.get(f"/image/read?id={stored['id']}&width=20").content
    assert b"script" not in shown
