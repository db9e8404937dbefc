"""`<picture>` for pages, judged by Python's own parser of HTML."""

from functools import partial
from html.parser import HTMLParser

import jinja2
import pytest

from imagestore.client import Urls, picture_tag
from imagestore.errors import InvalidRequest
from imagestore.signing import SigningKey, sign


class Tags(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def test_a_picture_has_a_source_for_each_format_and_an_image_for_the_rest() -> None:
    html = picture_tag(Urls("https://img.test"), 7, alt="A boat", sizes="50vw", widths=(640, 320))

    (picture, avif, webp, img) = Tags(html).found
    assert picture == ("picture", {})
    assert (avif[0], avif[1]["type"], webp[1]["type"]) == ("source", "image/avif", "image/webp")
    base = "https://img.test/image/read?id=7&width="
    assert avif[1]["srcset"] == f"{base}320&format=avif 320w, {base}640&format=avif 640w"
    assert img == (
        "img",
        {
            "src": f"{base}320",
            "srcset": f"{base}320 320w, {base}640 640w",
            "sizes": "50vw",
            "alt": "A boat",
            "loading": "lazy",
            "decoding": "async",
        },
    )


def test_what_a_person_wrote_cannot_leave_its_attribute() -> None:
    alt = '"><script>alert(1)</script>'

    tags = Tags(picture_tag(Urls(), 7, alt=alt)).found

    assert [name for name, _ in tags] == ["picture", "source", "source", "img"]
    assert tags[-1][1]["alt"] == alt


def test_a_template_that_escapes_takes_it_as_it_is() -> None:
    template = jinja2.Environment(autoescape=True).from_string("{{ tag(urls, 7, alt='x') }}")

    html = template.render(tag=picture_tag, urls=Urls())

    assert html == picture_tag(Urls(), 7, alt="x")


def test_every_candidate_is_signed() -> None:
    signer = partial(sign, key=SigningKey("k1", "s" * 40), expires=1900000000)

    html = picture_tag(Urls("", signer), 7, alt="", widths=(320, 640))

    assert html.count("sig=") == 7  # two for each of two formats and the image, and its src


def test_a_format_of_its_own_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="format"):
        picture_tag(Urls(), 7, alt="", format="webp")


def test_no_widths_are_refused() -> None:
    with pytest.raises(InvalidRequest, match="widths"):
        picture_tag(Urls(), 7, alt="", widths=())
