"""Addresses and `srcset`, made without asking anybody."""

import dataclasses
from datetime import UTC, datetime

import pytest

from imagestore.client import Image, Urls, Wish, sizes, srcset, srcset_by_density
from imagestore.errors import InvalidKey, InvalidParameter, InvalidRequest
from imagestore.rendition import PARAMETERS

URLS = Urls("https://img.example.org/")
MOMENT = datetime(2026, 11, 23, tzinfo=UTC)
PICTURE = Image(
    id=7,
    rev=1,
    domain="demo",
    dkey="a b.jpg",
    md5sum="0" * 32,
    sha256="0" * 64,
    format="jpeg",
    content_type="image/jpeg",
    width=1000,
    height=500,
    size=1,
    image_metadata={},
    user_metadata={},
    create_time=MOMENT,
    update_time=MOMENT,
    described={},
)


def test_every_parameter_of_a_rendition_can_be_wished_for() -> None:
    aliases = {"w", "h", "q"}

    assert set(Wish.__annotations__) == set(PARAMETERS) - aliases | {"preset", "download"}


@pytest.mark.parametrize(
    ("picture", "path"),
    [
        (7, "/image/read?id=7"),
        ("7", "/image/read?id=7"),
        (PICTURE, "/image/read?id=7"),
        ("0" * 32, f"/image/read?sum={'0' * 32}"),
        ("demo/a b/ü?.jpg", "/demo/a%20b/%C3%BC%3F.jpg"),
    ],
)
def test_a_picture_is_named_in_any_way(picture: Image | int | str, path: str) -> None:
    assert URLS.picture(picture) == f"https://img.example.org{path}"


def test_equal_wishes_have_equal_addresses() -> None:
    one = URLS.picture(7, height=200, width=300, fit="cover", format="jpg", enlarge=False)
    other = URLS.picture(7, width=150, height=100, dpr=2, fit="crop", format="jpeg")

    assert (
        one == other == "https://img.example.org/image/read?id=7&width=300&height=200&fit=cover&format=jpeg"
    )


def test_presets_and_file_names_are_kept() -> None:
    address = Urls().picture(7, preset="thumb", quality=50, download="my cat.jpg")

    assert address == "/image/read?id=7&preset=thumb&quality=50&download=my+cat.jpg"


def test_a_name_has_the_original_only() -> None:
    assert Urls().picture("demo/cat.jpg", download="c.jpg") == "/demo/cat.jpg?download=c.jpg"
    with pytest.raises(InvalidRequest, match="id"):
        Urls().picture("demo/cat.jpg", width=300)


def test_wrong_wishes_are_refused() -> None:
    with pytest.raises(InvalidParameter, match="width"):
        URLS.picture(7, width=5000)
    with pytest.raises(InvalidParameter, match="picture"):
        URLS.picture("cat.jpg")
    with pytest.raises(InvalidKey):
        URLS.picture("demo/../cat.jpg")


def test_a_signature_is_made_of_path_and_query() -> None:
    urls = Urls("http://x", sign=lambda target: f"{target}&signed={len(target)}")

    assert urls.picture(7, width=9) == "http://x/image/read?id=7&width=9&signed=24"


def test_srcset_goes_up_to_the_original() -> None:
    candidates = srcset(Urls(), PICTURE, widths=(320, 640, 1280, 1920), format="auto")

    assert candidates == ", ".join(
        f"/image/read?id=7&width={width}&format=auto {width}w" for width in (320, 640, 1000)
    )


def test_srcset_with_a_ratio_cuts() -> None:
    assert (
        srcset(Urls(), 7, widths=[300], ratio=1.5) == "/image/read?id=7&width=300&height=200&fit=cover 300w"
    )


def test_srcset_by_density_multiplies() -> None:
    candidates = srcset_by_density(Urls(), 7, width=100, densities=(2, 1))

    assert candidates == "/image/read?id=7&width=100 1x, /image/read?id=7&width=200 2x"


def test_commas_in_an_address_do_not_end_a_candidate() -> None:
    candidates = srcset(Urls(), 7, widths=[300], crop="0,0,10,10")

    assert candidates == "/image/read?id=7&width=300&crop=0%2C0%2C10%2C10 300w"


def test_sizes_need_a_width_for_every_screen() -> None:
    assert sizes("(max-width: 40em) 100vw", "50vw") == "(max-width: 40em) 100vw, 50vw"
    for wrong in ((), ("(max-width: 40em) 100vw",)):
        with pytest.raises(InvalidRequest):
            sizes(*wrong)


def test_the_candidates_differ_in_width_alone() -> None:
    with pytest.raises(InvalidRequest, match="width"):
        srcset(Urls(), dataclasses.replace(PICTURE, width=99), width=3)
