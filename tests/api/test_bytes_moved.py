"""What a process of the API reads and writes for uploads, originals and renders: bytes, and no clock."""

from collections.abc import Iterator

import httpx
import pytest
from PIL import Image

from tests import pictures
from tests.api.asking import workers
from tests.bytesmoved import SLACK_BYTES, about, moved
from tests.imagestack import ImageStack, image_stack

NOISE = pictures.encode(Image.effect_noise((2400, 1800), 60).convert("RGB"), "jpeg").data
"""3.4 MB, behind whose end bytes may stand that nobody minds."""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ImageStack]:
    """With one process of the API, which has done each of these things before."""
    assert len(NOISE) > 8 * SLACK_BYTES
    with image_stack(tmp_path_factory.mktemp("stack"), API_WORKERS="1") as stack:
        stored = stack.upload(NOISE, dkey="first")
        assert stack.http.get(f"/image/read?id={stored['id']}&width=1200").status_code == 200
        yield stack


@pytest.fixture
def worker(stack: ImageStack) -> int:
    (pid,) = workers(stack)
    return pid


@pytest.mark.parametrize("way", ["form", "put"])
def test_new_bytes_are_written_once_and_never_read_again(stack: ImageStack, worker: int, way: str) -> None:
    body = NOISE + way.encode()

    with moved(worker) as moving:
        if way == "form":
            stack.upload(body, dkey="new-form")
        else:
            assert stack.writer.put("/demo/new-put", content=body).status_code == 201

    # Into the spool; the store has the same file under another name.
    assert moving.written in about(len(body))
    assert moving.read in about(0)


def test_stored_bytes_are_compared_once(stack: ImageStack, worker: int) -> None:
    with moved(worker) as moving:
        stack.upload(NOISE, dkey="again")

    assert moving.written in about(len(NOISE))
    # What has come, and what is there.
    assert moving.read in about(2 * len(NOISE))


def test_original_that_goes_out_is_not_read(stack: ImageStack, worker: int) -> None:
    image = stack.http.get("/image/info?domain=demo&dkey=first").json()
    urls = ["/demo/first", f"/image/read?id={image['id']}", f"/image/read?sum={image['md5sum']}"]

    with moved(worker) as moving:
        told = [httpx.get(f"http://127.0.0.1:{stack.api.port}{url}").content for url in urls]
        # nginx does not know this parameter, so that it asks the API.
        seen = [stack.http.get(f"{url}&download=x.jpg").content for url in urls[1:]]

    assert told == [b""] * 3
    assert [body == NOISE for body in seen] == [True] * 2
    assert moving.read in about(0)
    assert moving.written in about(0)


def test_render_costs_one_reading_of_the_original_and_one_of_the_picture(
    stack: ImageStack, worker: int
) -> None:
    image = stack.upload(NOISE + b"render", dkey="render")

    with moved(worker) as moving:
        answer = stack.http.get(f"/image/read?id={image['id']}&width=1200&format=png")

    # The original is compared with its hash, and the decoder's answer comes through a pipe.
    assert len(answer.content) > 4 * SLACK_BYTES
    assert moving.read in about(len(NOISE) + len(answer.content))
    assert moving.written in about(0)
