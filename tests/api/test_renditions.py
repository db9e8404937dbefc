"""Every rendition parameter through HTTP, judged by size and colours, and when it is rendered again."""

import math
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests import pictures
from tests.api.asking import renders
from tests.imagestack import ImageStack
from tests.pictures import BLUE, GREEN, RED, WHITE

CORNERS = pictures.encode(pictures.quadrants(600, 400), "png").data
"""Red, green, blue and white quarters of 300x200 pixels: northwest, northeast, southwest, southeast."""


@pytest.fixture(scope="module")
def corners(shared_stack: ImageStack) -> int:
    return int(shared_stack.upload(CORNERS, "renditions", "corners.png")["id"])


@pytest.fixture(scope="module")
def photo(shared_stack: ImageStack) -> int:
    return int(shared_stack.upload(pictures.photo(600, 400, seed=41), "renditions", "photo.jpg")["id"])


def shown(stack: ImageStack, image_id: int, query: str) -> Image.Image:
    answer = stack.http.get(f"/image/read?id={image_id}&{query}")
    assert answer.status_code == 200, answer.text
    return pictures.opened(answer.content)


def colours(image: Image.Image) -> list[tuple[int, ...]]:
    """Near the corners: northwest, northeast, southwest, southeast."""
    rgb, (w, h) = image.convert("RGB"), image.size
    places = [(w // 8, h // 8), (w - 1 - w // 8, h // 8), (w // 8, h - 1 - h // 8)]
    return [rgb.getpixel(place) for place in [*places, (w - 1 - w // 8, h - 1 - h // 8)]]  # type: ignore[misc]


def alike(seen: list[tuple[int, ...]], expected: list[tuple[int, ...]]) -> bool:
    return all(
        max(abs(a - b) for a, b in zip(*pair, strict=True)) < 12 for pair in zip(seen, expected, strict=True)
    )


BLACK = (0, 0, 0)


@pytest.mark.parametrize(
    ("query", "size", "expected"),
    [
        ("width=300", (300, 200), [RED, GREEN, BLUE, WHITE]),
        ("w=300", (300, 200), [RED, GREEN, BLUE, WHITE]),
        ("height=100", (150, 100), [RED, GREEN, BLUE, WHITE]),
        ("h=100&dpr=2", (300, 200), [RED, GREEN, BLUE, WHITE]),
        ("width=333", (333, 222), [RED, GREEN, BLUE, WHITE]),
        ("width=300&height=300", (300, 200), [RED, GREEN, BLUE, WHITE]),
        ("width=300&height=300&fit=limit", (300, 200), [RED, GREEN, BLUE, WHITE]),
        ("width=300&height=300&fit=outside", (450, 300), [RED, GREEN, BLUE, WHITE]),
        ("width=300&height=300&fit=cover", (300, 300), [RED, GREEN, BLUE, WHITE]),
        ("width=200&height=400&fit=cover&gravity=west", (200, 400), [RED, RED, BLUE, BLUE]),
        ("width=200&height=400&fit=crop&gravity=e", (200, 400), [GREEN, GREEN, WHITE, WHITE]),
        ("width=600&height=100&fit=cover&gravity=0.5,0", (600, 100), [RED, GREEN, RED, GREEN]),
        ("width=300&height=300&fit=pad&background=000", (300, 300), [BLACK] * 4),
        (
            "width=300&height=300&fit=pad&background=black&gravity=north",
            (300, 300),
            [RED, GREEN, BLACK, BLACK],
        ),
        ("width=100&height=300&fit=stretch", (100, 300), [RED, GREEN, BLUE, WHITE]),
        ("width=1200", (600, 400), [RED, GREEN, BLUE, WHITE]),
        ("width=1200&enlarge=1", (1200, 800), [RED, GREEN, BLUE, WHITE]),
        ("crop=300,200,300,200", (300, 200), [WHITE] * 4),
        ("crop=pct:0,50,50,50", (300, 200), [BLUE] * 4),
        ("crop=300,0,900,200", (300, 200), [GREEN] * 4),
        ("crop=pct:0,50,50,50&width=30", (30, 20), [BLUE] * 4),
        ("rotate=90", (400, 600), [BLUE, RED, WHITE, GREEN]),
        ("rotate=180", (600, 400), [WHITE, BLUE, GREEN, RED]),
        ("rotate=270&width=200", (200, 300), [GREEN, WHITE, RED, BLUE]),
        ("flip=horizontal", (600, 400), [GREEN, RED, WHITE, BLUE]),
        ("flip=v", (600, 400), [BLUE, WHITE, RED, GREEN]),
        ("flip=both", (600, 400), [WHITE, BLUE, GREEN, RED]),
        ("blur=2", (600, 400), [RED, GREEN, BLUE, WHITE]),
        ("sharpen=1", (600, 400), [RED, GREEN, BLUE, WHITE]),
    ],
)
def test_a_parameter_does_what_its_name_says(
    shared_stack: ImageStack, corners: int, query: str, size: tuple[int, int], expected: list[tuple[int, ...]]
) -> None:
    image = shown(shared_stack, corners, query)

    assert image.size == size
    assert image.format == "PNG"
    assert alike(colours(image), expected), colours(image)


def test_grayscale_has_no_colour_left(shared_stack: ImageStack, corners: int) -> None:
    for red, green, blue in colours(shown(shared_stack, corners, "width=300&grayscale=1")):
        assert red == green == blue


def test_blur_takes_edges_away_and_sharpen_makes_them_harder(shared_stack: ImageStack, photo: int) -> None:
    def roughness(query: str) -> float:
        pixels = np.asarray(shown(shared_stack, photo, f"{query}format=png").convert("L"), dtype=float)
        return float(np.abs(np.diff(pixels, axis=1)).mean())

    plain = roughness("")

    assert roughness("blur=3&") < plain / 2
    assert roughness("sharpen=2&") > plain * 1.1


@pytest.mark.parametrize(
    ("format", "media_type"),
    [
        ("jpeg", "image/jpeg"),
        ("jpg", "image/jpeg"),
        ("png", "image/png"),
        ("webp", "image/webp"),
        ("avif", "image/avif"),
        ("gif", "image/gif"),
    ],
)
def test_a_format_is_what_the_bytes_are(
    shared_stack: ImageStack, photo: int, format: str, media_type: str
) -> None:
    answer = shared_stack.http.get(f"/image/read?id={photo}&width=120&format={format}")

    assert answer.headers["Content-Type"] == media_type
    assert Image.MIME[str(pictures.opened(answer.content).format)] == media_type
    assert pictures.opened(answer.content).size == (120, 80)
    assert "Vary" not in answer.headers


def test_less_quality_is_fewer_bytes(shared_stack: ImageStack, photo: int) -> None:
    for format in ("jpeg", "webp", "avif"):
        url = f"/image/read?id={photo}&width=400&format={format}"
        sizes = [
            len(shared_stack.http.get(f"{url}&{q}").content) for q in ("quality=20", "q=50", "quality=90")
        ]
        assert sizes == sorted(sizes)
        assert sizes[0] < sizes[2] / 2


CHROME = "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8"
SAFARI = "image/webp,image/avif;q=0,image/png,*/*;q=0.8"


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        (CHROME, "image/avif"),
        (SAFARI, "image/webp"),
        ("*/*", "image/jpeg"),
        ("image/jpeg", "image/jpeg"),
        ("", ""),
    ],
)
def test_the_format_is_negotiated_by_accept(
    shared_stack: ImageStack, photo: int, accept: str, media_type: str
) -> None:
    url, headers = f"/image/read?id={photo}&width=150&format=auto", {"Accept": accept}

    for _ in range(2):
        got = shared_stack.http.get(url, headers=headers)
        head = shared_stack.http.head(url, headers=headers)
        same = shared_stack.http.get(url, headers={**headers, "If-None-Match": got.headers["ETag"]})

        assert (got.status_code, head.status_code, same.status_code) == (200, 200, 304)
        assert got.headers["Content-Type"] == (media_type or "image/jpeg")
        assert Image.MIME[str(pictures.opened(got.content).format)] == got.headers["Content-Type"]
        assert {answer.headers["Vary"] for answer in (got, head, same)} == {"Accept"}
        assert head.headers["Content-Type"] == got.headers["Content-Type"]
        assert len({answer.headers["ETag"] for answer in (got, head, same)}) == 1


def test_clients_of_different_kinds_never_get_each_others_picture(
    shared_stack: ImageStack, photo: int
) -> None:
    url = f"/image/read?id={photo}&width=151&format=auto"
    wanted = {CHROME: "image/avif", SAFARI: "image/webp", "*/*": "image/jpeg"}

    for accept, media_type in [*wanted.items(), *reversed(wanted.items())]:
        answer = shared_stack.http.get(url, headers={"Accept": accept})
        assert answer.headers["Content-Type"] == media_type


def test_one_wish_in_many_spellings_is_rendered_once(shared_stack: ImageStack, photo: int) -> None:
    spellings = [
        "id={id}&width=140&height=90&fit=cover&quality=70",
        "quality=70&fit=cover&height=90&width=140&id={id}",
        "id={id}&w=140&h=90&fit=crop&q=70",
        "w=70&h=45&dpr=2&id={id}&fit=thumb&q=70&gravity=center",
        "id={id}&width=140&height=090&fit=cover&quality=70&rotate=0&grayscale=0&enlarge=false",
        "id={id}&%77idth=140&height=90&fit=c%6Fver&quality=70&gravity=0.5,0.50",
    ]
    before = renders(shared_stack)

    answers = [shared_stack.http.get("/image/read?" + each.format(id=photo)) for each in spellings * 2]

    assert {answer.status_code for answer in answers} == {200}
    assert len({(answer.headers["ETag"], answer.content) for answer in answers}) == 1
    assert renders(shared_stack) - before == 1


def test_equal_bytes_under_two_names_are_rendered_once(shared_stack: ImageStack) -> None:
    body = pictures.photo(500, 300, seed=42)
    one, other = (shared_stack.upload(body, "renditions", f"twin-{n}") for n in range(2))
    before = renders(shared_stack)

    answers = [shared_stack.http.get(f"/image/read?id={each['id']}&width=99") for each in (one, other)]
    answers.append(shared_stack.http.get(f"/image/read?sum={one['md5sum']}&w=99"))

    assert len({answer.content for answer in answers}) == 1
    assert renders(shared_stack) - before == 1
    assert pictures.opened(answers[0].content).size == (99, math.floor(99 * 300 / 500 + 0.5))


def test_an_animation_stays_one_where_the_format_can(shared_stack: ImageStack) -> None:
    body = pictures.animation("gif", [RED, GREEN, BLUE], size=(80, 60)).data
    image = shared_stack.upload(body, "renditions", "loop.gif")
    frames: dict[str, Any] = {}

    for format in ("gif", "webp", "png", "jpeg"):
        seen = shown(shared_stack, image["id"], f"width=40&format={format}")
        frames[format] = getattr(seen, "n_frames", 1)
        assert seen.size == (40, 30)

    assert frames == {"gif": 3, "webp": 3, "png": 1, "jpeg": 1}


def test_a_rendition_tells_nothing_about_camera_or_place(shared_stack: ImageStack) -> None:
    talkative = pictures.talkative(pictures.texture(200, 150)).data
    image = shared_stack.upload(talkative, "renditions", "talkative.jpg")
    assert b"Leica" in shared_stack.http.get(image["links"]["original"]).content

    for format in ("jpeg", "png", "webp"):
        answer = shared_stack.http.get(f"/image/read?id={image['id']}&width=100&format={format}")
        for secret in (b"Leica", b"M11", b"xmpmeta", b"secret", b"Exif"):
            assert secret not in answer.content
    info = shared_stack.http.get(f"/image/info?id={image['id']}").text
    assert "GPS" not in info
    assert "13.4" not in info
