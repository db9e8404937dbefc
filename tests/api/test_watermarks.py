"""Marks are stored pictures of the domain `watermark`; what they look like is judged by pixels."""

import json
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from tests import pictures
from tests.api.asking import renders
from tests.imagestack import ImageStack
from tests.servers import wait_until

WHITE, RED, BLUE = (255, 255, 255), (255, 0, 0), (0, 0, 255)
PAPER = pictures.encode(pictures.plain(WHITE, 400, 300), "png").data
RED_MARK = pictures.encode(pictures.plain(RED, 40, 20), "png").data
BLUE_MARK = pictures.encode(pictures.plain(BLUE, 40, 20), "png").data

Box = tuple[int, int, int, int]


@pytest.fixture(scope="module")
def paper(shared_stack: ImageStack) -> int:
    return int(shared_stack.upload(PAPER, "marked", "paper.png")["id"])


@pytest.fixture
def logo(shared_stack: ImageStack) -> Iterator[str]:
    """A red mark of 40x20 pixels, which leaves as it came."""
    put(shared_stack, "logo", RED_MARK)
    yield "logo"
    shared_stack.writer.delete("/watermark/logo")


def put(stack: ImageStack, dkey: str, body: bytes, **defaults: Any) -> dict[str, Any]:
    answer = stack.writer.put(f"/watermark/{dkey}?metadata={quote(json.dumps(defaults))}", content=body)
    assert answer.status_code in (200, 201), answer.text
    return dict(answer.json())


def box_of(stack: ImageStack, url: str) -> Box | None:
    """Left, top, right and bottom of everything that is not white."""
    image = pictures.opened(stack.http.get(url).content).convert("L")
    return image.point(lambda level: 255 * (level < 250)).getbbox()


def colour_at(stack: ImageStack, url: str, x: int, y: int) -> tuple[int, ...]:
    pixel = pictures.opened(stack.http.get(url).content).convert("RGB").getpixel((x, y))
    assert isinstance(pixel, tuple)
    return pixel


@pytest.mark.parametrize(
    ("query", "box"),
    [
        ("", (350, 270, 390, 290)),
        ("&watermark_margin=0", (360, 280, 400, 300)),
        ("&watermark_position=northwest", (10, 10, 50, 30)),
        ("&watermark_position=n&watermark_margin=5", (180, 5, 220, 25)),
        ("&watermark_position=center", (180, 140, 220, 160)),
        ("&watermark_position=sw", (10, 270, 50, 290)),
        ("&watermark_scale=0.5&watermark_position=center", (100, 100, 300, 200)),
        ("&width=200&watermark_position=nw", (10, 10, 50, 30)),
    ],
)
def test_a_mark_lies_where_the_request_says(
    shared_stack: ImageStack, paper: int, logo: str, query: str, box: Box
) -> None:
    assert box_of(shared_stack, f"/image/read?id={paper}&watermark={logo}{query}") == box


def test_a_mark_lies_where_its_own_metadata_says_unless_the_request_says_more(
    shared_stack: ImageStack, paper: int
) -> None:
    put(shared_stack, "own", RED_MARK, position="northeast", margin=20, scale=0.2, opacity=0.5, note="ours")
    url = f"/image/read?id={paper}&watermark=own"

    # A fifth of 400 pixels is 80, so that the mark is 80x40.
    assert box_of(shared_stack, url) == (300, 20, 380, 60)
    assert box_of(shared_stack, url + "&watermark_position=west&watermark_margin=0") == (0, 130, 80, 170)
    assert box_of(shared_stack, url + "&watermark_scale=0.1") == (340, 20, 380, 40)
    # Half red on white: (255, 128, 128).
    red, green, blue = colour_at(shared_stack, url, 340, 40)
    assert (red, abs(green - 128) < 4, abs(blue - 128) < 4) == (255, True, True)
    assert colour_at(shared_stack, url + "&watermark_opacity=1", 340, 40) == RED


def test_tiles_cover_the_whole_picture(shared_stack: ImageStack, paper: int, logo: str) -> None:
    url = f"/image/read?id={paper}&watermark={logo}&watermark_position=tile"

    image = pictures.opened(shared_stack.http.get(url).content).convert("RGB")

    for left in range(0, 400, 80):
        for top in range(0, 300, 60):
            part = image.crop((left, top, left + 80, top + 60))
            assert RED in [colour for _, colour in part.getcolors(10_000) or []], (left, top)


def test_a_mark_without_other_parameters_lies_on_the_full_size(
    shared_stack: ImageStack, paper: int, logo: str
) -> None:
    answer = shared_stack.http.get(f"/v1/image/read?id={paper}&watermark={logo}")

    assert pictures.opened(answer.content).size == (400, 300)
    assert answer.headers["Cache-Control"] == "public, max-age=10, must-revalidate"


def test_a_marked_picture_by_sum_is_not_immutable(shared_stack: ImageStack, paper: int, logo: str) -> None:
    digest = shared_stack.http.get(f"/images/{paper}").json()["sha256"]

    for _ in range(2):
        answer = shared_stack.http.get(f"/image/read?sum={digest}&watermark={logo}&width=50")
        assert answer.headers["Cache-Control"] == "public, max-age=10, must-revalidate"


@pytest.mark.parametrize("change", ["replace", "patch", "delete"])
def test_a_changed_mark_shows_in_every_picture_within_a_second(
    shared_stack: ImageStack, paper: int, change: str
) -> None:
    mark = put(shared_stack, f"changing-{change}", RED_MARK, position="northwest")
    urls = [
        f"/image/read?id={paper}&watermark=changing-{change}{more}" for more in ("", "&width=200&format=auto")
    ]
    before = [shared_stack.http.get(url) for url in urls * 2][:2]
    assert {colour_at(shared_stack, url, 30, 20) for url in urls} == {RED}

    if change == "replace":
        put(shared_stack, f"changing-{change}", BLUE_MARK, position="northwest")
    elif change == "patch":
        patch = {"user_metadata": {"position": "center", "by": "me"}}
        assert shared_stack.writer.patch(f"/images/{mark['id']}", json=patch).is_success
    else:
        assert shared_stack.writer.delete(f"/watermark/changing-{change}").is_success
    changed = time.monotonic()
    wait_until(lambda: time.monotonic() > changed + 1, what="a second passes")

    for url, old in zip(urls, before, strict=True):
        new = shared_stack.http.get(url, headers={"If-None-Match": old.headers["ETag"]})
        if change == "delete":
            assert (new.status_code, new.json()["type"]) == (404, "/problems/image-not-found")
            continue
        assert new.status_code == 200
        assert new.headers["ETag"] != old.headers["ETag"]
        assert colour_at(shared_stack, url, 30, 20) == (BLUE if change == "replace" else WHITE)
    if change == "patch":
        assert colour_at(shared_stack, urls[0], 200, 150) == RED


def test_metadata_that_does_not_show_changes_no_picture(shared_stack: ImageStack, paper: int) -> None:
    mark = put(shared_stack, "steady", RED_MARK, position="center")
    url = f"/image/read?id={paper}&watermark=steady&width=111"
    etag = shared_stack.http.get(url).headers["ETag"]
    before = renders(shared_stack)

    shared_stack.writer.patch(f"/images/{mark['id']}", json={"user_metadata": {"author": "me"}})

    assert shared_stack.http.get(url).headers["ETag"] == etag
    assert renders(shared_stack) == before


def test_a_missing_mark_is_a_404_and_no_plain_picture(shared_stack: ImageStack, paper: int) -> None:
    answer = shared_stack.http.get(f"/image/read?id={paper}&watermark=nobody")

    assert (answer.status_code, answer.json()["type"]) == (404, "/problems/image-not-found")


@pytest.mark.parametrize(
    "defaults",
    [
        {"position": "middle"},
        {"position": ["north"]},
        {"position": 7},
        {"opacity": 0},
        {"opacity": 1.5},
        {"opacity": "1"},
        {"opacity": True},
        {"scale": 2},
        {"scale": []},
        {"margin": -1},
        {"margin": 1001},
        {"margin": None},
        {"position": None},
    ],
)
def test_defaults_outside_their_range_are_refused(
    shared_stack: ImageStack, logo: str, defaults: dict[str, Any]
) -> None:
    mark = shared_stack.http.get("/image/info?domain=watermark&dkey=logo").json()

    stored = shared_stack.writer.put(
        f"/watermark/invalid?metadata={quote(json.dumps(defaults))}", content=RED_MARK
    )
    assert (stored.status_code, stored.json()["type"]) == (400, "/problems/invalid-parameter")
    assert shared_stack.http.get("/watermark/invalid").status_code == 404
    if None not in defaults.values():
        # In a merge patch null is no value: it takes the member away.
        patched = shared_stack.writer.patch(f"/images/{mark['id']}", json={"user_metadata": defaults})
        assert (patched.status_code, patched.json()["type"]) == (400, "/problems/invalid-parameter")
        assert shared_stack.http.get(f"/images/{mark['id']}").json() == mark


def test_the_same_metadata_elsewhere_is_the_users_own(shared_stack: ImageStack) -> None:
    image = shared_stack.upload(PAPER, "marked", "free", metadata='{"opacity": "none", "position": 3}')

    assert image["user_metadata"] == {"opacity": "none", "position": 3}


def test_a_mark_may_have_any_name(shared_stack: ImageStack, paper: int) -> None:
    name = "firm/ö 😀+&.png"
    assert shared_stack.writer.put(f"/watermark/{quote(name)}", content=RED_MARK).is_success

    assert box_of(
        shared_stack, f"/image/read?id={paper}&watermark_margin=0&watermark={quote(name, safe='')}"
    ) == (360, 280, 400, 300)
