"""The wish for a picture: one canonical spelling, and every bad value refused by name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagestore.errors import ImagestoreError, InvalidParameter, InvalidRequest
from imagestore.rendition import COMPASS, FITS, PARAMETER_NAMES, Rendition


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("width=300&height=200", "height=200&width=300"),
        ("w=300&h=200&q=80", "width=300&height=200&quality=80"),
        ("w=300&h=200&fit=limit", "w=300&h=200"),
        ("w=300&h=200&fit=clip", "w=300&h=200&fit=max"),
        ("w=300&h=200&fit=crop", "w=300&h=200&fit=cover"),
        ("w=300&h=200&fit=thumb", "w=300&h=200&fit=cover&gravity=center"),
        ("w=300&h=200&fit=force", "w=300&h=200&fit=stretch"),
        ("w=300&h=200&fit=scale", "w=300&h=200&fit=stretch"),
        ("w=150&dpr=2", "w=300"),
        ("w=101&dpr=1.5", "w=152"),
        ("w=300&fit=cover&gravity=north", "w=300"),
        ("w=300&h=200&gravity=north", "w=300&h=200"),
        ("w=3&h=2&fit=cover&gravity=0.5,0.50", "w=3&h=2&fit=cover"),
        ("w=3&h=2&fit=pad&gravity=ne", "w=3&h=2&fit=pad&gravity=northeast"),
        ("format=jpg", "format=jpeg"),
        ("format=png&quality=7", "format=png"),
        ("background=%23FFF", "background=white"),
        ("background=0000FFff", "background=0000ff"),
        ("flip=vh&rotate=0", "flip=both"),
        ("grayscale=true&enlarge=0&w=9", "w=9&grayscale=1&enlarge=false"),
        ("blur=2.50", "blur=2.5"),
        ("watermark=a+b", "watermark=a%20b"),
        ("rotate=0", ""),
    ],
)
def test_two_spellings_of_one_wish_have_one_key(one: str, other: str) -> None:
    assert Rendition.parse(one).key == Rendition.parse(other).key


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        *(
            (f"width={value}", "width")
            for value in ("0", "4097", "+5", "1_0", "%EF%BC%91%EF%BC%90", "%207", "0x10")
        ),
        *((f"width={value}", "width") for value in ("-0", "", "1.0", "1e2", "9999999999", "NaN")),
        ("w=1&fit=fill", "fit"),
        ("w=1&fit=contain", "fit"),
        ("w=1&fit=Cover", "fit"),
        ("fit=cover", "fit"),
        ("dpr=2", "dpr"),
        ("enlarge=1", "enlarge"),
        ("gravity=north", "gravity"),
        ("w=4000&dpr=2", "dpr"),
        ("w=9&dpr=0", "dpr"),
        ("w=1&h=1&fit=cover&gravity=2,0", "gravity"),
        ("w=1&h=1&fit=cover&gravity=0.5", "gravity"),
        ("crop=1,2,3", "crop"),
        ("crop=0,0,0,5", "crop"),
        ("crop=pct:0,0,101,5", "crop"),
        ("crop=-1,0,5,5", "crop"),
        ("rotate=45", "rotate"),
        ("flip=x", "flip"),
        ("format=svg", "format"),
        ("quality=0", "quality"),
        ("quality=101", "quality"),
        ("background=12345", "background"),
        ("blur=0.1", "blur"),
        ("sharpen=1e1", "sharpen"),
        ("grayscale=yes", "grayscale"),
        ("watermark=", "watermark"),
        ("watermark=../x", "watermark"),
        ("watermark_scale=0.5", "watermark_scale"),
        ("watermark=a&watermark_opacity=0", "watermark_opacity"),
        ("watermark=a&watermark_position=middle", "watermark_position"),
        ("watermark=a&watermark_margin=1001", "watermark_margin"),
    ],
)
def test_a_value_outside_its_grammar_is_refused_by_name(query: str, parameter: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        Rendition.parse(query)

    assert caught.value.parameter == parameter


@pytest.mark.parametrize("query", ["size=3", "width=1&width=1", "w=1&width=2", "=5", "width=%ff", "Width=3"])
def test_unknown_repeated_and_broken_parameters_are_refused(query: str) -> None:
    with pytest.raises(InvalidRequest):
        Rendition.parse(query)


def test_fit_that_means_two_things_elsewhere_says_what_to_use() -> None:
    with pytest.raises(InvalidParameter, match="use cover"):
        Rendition.parse("w=1&h=1&fit=fill")
    with pytest.raises(InvalidParameter, match="or pad"):
        Rendition.parse("w=1&h=1&fit=contain")


def test_no_parameters_are_the_original() -> None:
    assert Rendition.parse("").is_original
    assert Rendition.parse("").key == ""
    assert not Rendition.parse("w=5").is_original


@pytest.mark.parametrize(
    ("accept", "format"),
    [
        ("image/avif,image/webp,image/apng,*/*;q=0.8", "auto-avif"),
        ("image/webp,*/*", "auto-webp"),
        ("IMAGE/WEBP;q=0.5", "auto-webp"),
        ("image/avif;q=0, image/webp", "auto-webp"),
        ("image/avif;q=0.0,*/*", "auto"),
        ("*/*", "auto"),
        ("image/*", "auto"),
        ("", "auto"),
    ],
)
def test_auto_takes_only_what_accept_names(accept: str, format: str) -> None:
    assert Rendition.parse("format=auto").negotiated(accept).format == format


def test_a_named_format_is_not_negotiated() -> None:
    assert Rendition.parse("format=png").negotiated("image/avif").format == "png"


number = st.integers(1, 4096).map(str)
unit = st.decimals("0.01", "1", places=2).map(str)
VALUES = {
    "width": number,
    "height": number,
    "fit": st.sampled_from(FITS),
    "enlarge": st.sampled_from(["0", "1"]),
    "gravity": st.sampled_from([*COMPASS, "smart", "0.25,0.3333", "1,0"]),
    "crop": st.sampled_from(["1,2,3,4", "pct:0,0,50,33.3333"]),
    "rotate": st.sampled_from(["90", "180", "270"]),
    "flip": st.sampled_from(["horizontal", "vertical", "both"]),
    "grayscale": st.sampled_from(["0", "1"]),
    "blur": st.decimals("0.3", "100", places=4).map(str),
    "sharpen": st.decimals("0.3", "10", places=2).map(str),
    "background": st.sampled_from(["ffffff", "00000000", "12345678"]),
    "format": st.sampled_from(["jpeg", "png", "webp", "avif", "gif", "auto", "auto-webp", "auto-avif"]),
    "quality": st.integers(1, 100).map(str),
    "watermark": st.sampled_from(["logo", "a/b", "ä ö", "100%", "x&y=z", "🙂"]),
    "watermark_position": st.sampled_from([*COMPASS, "tile"]),
    "watermark_opacity": unit,
    "watermark_scale": unit,
    "watermark_margin": st.integers(0, 1000).map(str),
}
wishes = st.fixed_dictionaries({}, optional=VALUES)


@given(wishes)
def test_the_key_parses_to_the_same_rendition(wish: dict[str, str]) -> None:
    try:
        rendition = Rendition.from_parameters(wish)
    except InvalidParameter:
        return

    assert Rendition.parse(rendition.key) == rendition
    assert Rendition.parse(rendition.key).key == rendition.key


@given(st.dictionaries(st.sampled_from(PARAMETER_NAMES) | st.text(max_size=5), st.text(max_size=20)))
def test_any_text_gives_a_rendition_or_our_error(wish: dict[str, str]) -> None:
    try:
        rendition = Rendition.from_parameters(wish)
    except ImagestoreError:
        return

    assert rendition.key.isascii()
