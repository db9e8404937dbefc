"""Bodies that are refused: no pictures, pictures that nobody should decode, broken forms and JSON."""

import pytest

from tests import pictures
from tests.api.asking import assert_problem
from tests.imagestack import ImageStack


def many_frames(count: int) -> bytes:
    """A GIF of `count` frames of one pixel (GIF89a §18 to §27)."""
    frame = b"\x2c\0\0\0\0\1\0\1\0\0\2\2\x44\1\0"
    return b"GIF89a\1\0\1\0\x80\0\0\0\0\0\xff\xff\xff" + frame * count + b"\x3b"


@pytest.mark.parametrize(
    "body",
    [
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"%PDF-1.7\n",
        b"%!PS-Adobe-3.0 EPSF-3.0\n",
        b"push graphic-context\nviewbox 0 0 640 480\n",
        b"<?xml version='1.0'?><image><read filename='/etc/passwd'/></image>",
        b"<html><script>alert(1)</script>",
        b"just text",
        b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom",
        b"\0\0\0\x0cjP  \r\n\x87\n",
        b"MZ\x90\0",
        b"\xff\xd8",
    ],
)
def test_bytes_that_are_no_allowed_picture(shared_stack: ImageStack, body: bytes) -> None:
    answer = shared_stack.writer.put("/demo/photo.jpg", content=body, headers={"Content-Type": "image/jpeg"})

    assert_problem(answer, 415, "unsupported-media-type")


@pytest.mark.parametrize("keep", [0.5, 0.98])
def test_cut_pictures(shared_stack: ImageStack, keep: float) -> None:
    body = pictures.photo(400, 300)

    answer = shared_stack.writer.put("/demo/cut", content=body[: int(len(body) * keep)])

    assert_problem(answer, 422, "image-invalid")


@pytest.mark.parametrize(
    ("body", "name"),
    [
        (pictures.png_header_only(0, 10).data, "image-invalid"),
        (pictures.png_header_only(100, 100).data, "image-invalid"),
        (pictures.png_header_only(8000, 8000).data, "image-too-large"),
        (pictures.png_header_only(16_384, 10).data, "image-too-large"),
        (pictures.png_header_only(2**31 - 1, 2**31 - 1).data, "image-too-large"),
        (many_frames(257), "image-too-many-frames"),
        (b"GIF89a" + b"\xff" * 4 + bytes(50), "image-too-large"),
    ],
)
def test_pictures_that_nobody_should_decode(shared_stack: ImageStack, body: bytes, name: str) -> None:
    assert_problem(shared_stack.writer.put("/demo/bad", content=body), 422, name)


@pytest.mark.parametrize(
    "metadata",
    [
        "{",
        "[]",
        "NaN",
        '{"a": NaN}',
        '{"a": "\\ud800"}',
        "[" * 100_000,
        '{"a": 1e999}',
        '{"a": ' + "9" * 5000 + "}",
    ],
)
def test_metadata_that_is_no_shallow_json_object(shared_stack: ImageStack, metadata: str) -> None:
    answer = shared_stack.writer.post(
        "/image/upload", files={"file": pictures.photo(20, 20)}, data={"metadata": metadata}
    )

    assert_problem(answer, 400, "invalid-request")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--x\r\n",
        b'--x\r\nContent-Disposition: form-data; name="domain"\r\n\r\ndemo\r\n--x--\r\n',
        b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nGIF',
        b'--x\r\nContent-Disposition: form-data; name="nobody"\r\n\r\n1\r\n--x--\r\n',
        b'--x\r\nContent-Disposition: form-data; name="\xff"\r\n\r\n1\r\n--x--\r\n',
        b'--x\r\nContent-Disposition: form-data; name="dkey"\r\n\r\n\xff\r\n--x--\r\n',
        b'--x\r\nContent-Disposition: form-data; name="dkey"\r\n\r\n' + b"x" * 2_000_000 + b"\r\n--x--\r\n",
        b"--x\r\n\r\n\r\n--x--\r\n",
        b"--x\r\n" + b"A: b\r\n" * 3000 + b"\r\n\r\n--x--\r\n",
        b'--x\r\nContent-Disposition: form-data; name="p"\r\n\r\n1\r\n' * 100 + b"--x--\r\n",
    ],
)
def test_broken_forms(shared_stack: ImageStack, body: bytes) -> None:
    headers = {"Content-Type": "multipart/form-data; boundary=x"}

    answer = shared_stack.writer.post("/image/upload", content=body, headers=headers)

    assert_problem(answer, 400, "invalid-request")


def test_two_files_in_one_form(shared_stack: ImageStack) -> None:
    body = pictures.photo(20, 20)

    answer = shared_stack.writer.post("/image/upload", files=[("file", body), ("file", body)])

    assert_problem(answer, 400, "invalid-request")


@pytest.mark.parametrize(
    "boundary", ["", "; boundary=", "; boundary=" + "x" * 71, '; boundary="x', "; boundary=\xff"]
)
def test_forms_without_a_usable_boundary(shared_stack: ImageStack, boundary: str) -> None:
    headers = {b"Content-Type": f"multipart/form-data{boundary}".encode("latin-1")}

    answer = shared_stack.writer.post("/image/upload", content=b"--x--", headers=headers)

    assert_problem(answer, 400, "invalid-request")


def test_a_refused_body_leaves_the_connection_to_the_api_usable(shared_stack: ImageStack) -> None:
    body, picture = bytes(5_000_000), pictures.photo(30, 20, seed=81)

    # nginx keeps its connections to the API, so that a broken one would hit whoever comes next.
    for _ in range(15):
        assert_problem(shared_stack.http.put("/demo/x", content=body), 401, "unauthenticated")
        assert_problem(shared_stack.writer.put("/Demo/x", content=body), 400, "invalid-key")
        assert shared_stack.writer.put("/demo/next", content=picture).is_success
