"""Which renditions a domain gives, from the API, from Redis and from nginx's memory alike."""

import io
from collections.abc import Iterator

import pytest
from PIL import Image

from imagestore.signing import SigningKey, sign
from tests.api.asking import assert_problem
from tests.imagestack import ImageStack, image_stack
from tests.pictures import photo

KEY = SigningKey("k1", "1" * 32)
BODY = photo(300, 200)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ImageStack]:
    with image_stack(
        tmp_path_factory.mktemp("variants"),
        VARIANTS="stepped=steps:50, fixed=presets, sealed=signed",
        PRESETS="thumb=width=33&height=20&fit=cover;web=width=44&format=auto",
        SIGNING_KEYS=f"k1={KEY.secret}",
    ) as running:
        yield running


@pytest.fixture(scope="module")
def urls(stack: ImageStack) -> dict[str, str]:
    """The same bytes in domains of every kind."""
    domains = ("free", "stepped", "fixed", "sealed")
    return {d: f"/image/read?id={stack.upload(BODY, domain=d, dkey='x')['id']}&" for d in domains}


def sizes(stack: ImageStack, url: str, **headers: str) -> list[tuple[int, int]]:
    """Width and height as the API, Redis and nginx's memory give it."""
    answers = [stack.http.get(url, headers=headers) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200] * 3
    assert answers[-1].headers["X-Cache"] == "memory"
    return [Image.open(io.BytesIO(answer.content)).size for answer in answers]


def test_one_spelling_means_another_size_in_each_domain(stack: ImageStack, urls: dict[str, str]) -> None:
    assert sizes(stack, urls["free"] + "w=60") == [(60, 40)] * 3
    assert sizes(stack, urls["stepped"] + "w=60") == [(100, 67)] * 3
    assert sizes(stack, urls["free"] + "w=60") == [(60, 40)] * 3
    assert_problem(stack.http.get(urls["fixed"] + "w=60"), 403, "forbidden")
    assert_problem(stack.http.get(urls["sealed"] + "w=60"), 403, "signature-invalid")


def test_sizes_of_one_step_are_one_picture(stack: ImageStack, urls: dict[str, str]) -> None:
    answers = {width: stack.http.get(f"{urls['stepped']}w={width}") for width in (101, 130, 150)}

    assert len({answer.headers["ETag"] for answer in answers.values()}) == 1
    assert answers[101].content == answers[150].content


def test_presets_and_originals_can_be_had_everywhere(stack: ImageStack, urls: dict[str, str]) -> None:
    for domain, url in urls.items():
        assert sizes(stack, url + "preset=thumb") == [(33, 20)] * 3
        assert sizes(stack, url + "preset=web", Accept="image/webp") == [(44, 29)] * 3
        assert stack.http.get(f"/{domain}/x").content == BODY
        assert stack.http.get(url.rstrip("&")).content == BODY


def test_signed_sizes_are_for_those_who_sign(stack: ImageStack, urls: dict[str, str]) -> None:
    url = urls["sealed"] + "w=70"

    assert sizes(stack, sign(url, KEY)) == [(70, 47)] * 3
    for unsigned in (url, sign(urls["sealed"] + "w=71", KEY).replace("w=71", "w=70"), url + "&preset=thumb"):
        assert stack.http.get(unsigned).status_code in (400, 403)
    for odd in ("preset=thumb&q=5", "preset=thumb&", "&preset=thumb", "preset=thumb&download=x"):
        first, second = (stack.http.get(urls["sealed"] + odd).status_code for _ in range(2))
        assert first == second, odd
    assert_problem(stack.http.get(urls["sealed"] + "preset=thumb&q=5"), 403, "signature-invalid")
    assert_problem(stack.http.get(sign(url, KEY, expires=1)), 403, "signature-expired")
    assert stack.writer.get(urls["sealed"] + "w=72").status_code == 200
