"""Presets are another spelling of their parameters, and no more."""

import pytest

from imagestore.errors import InvalidParameter, InvalidRequest
from imagestore.presets import MAX_PRESETS, Presets
from imagestore.rendition import Rendition


def test_preset_stands_for_its_parameters() -> None:
    presets = Presets.parse("thumb=width=300&height=200&fit=cover")

    resolved = presets.resolve({"preset": "thumb", "quality": "50"})

    assert resolved == {"width": "300", "height": "200", "fit": "cover", "quality": "50"}
    assert presets.resolve({"width": "7"}) == {"width": "7"}


def test_preset_cannot_be_changed_by_a_request() -> None:
    presets = Presets.parse("thumb=width=300")

    with pytest.raises(InvalidRequest, match="width"):
        presets.resolve({"preset": "thumb", "width": "4000"})
    with pytest.raises(InvalidRequest, match="more than once"):
        Rendition.from_parameters(presets.resolve({"preset": "thumb", "w": "4000"}))


def test_unknown_preset_names_those_that_there_are() -> None:
    with pytest.raises(InvalidParameter, match="card, thumb"):
        Presets.parse("thumb=width=300;card=width=640").resolve({"preset": "big"})


def test_negotiated_preset_is_rendered_in_each_form() -> None:
    keys = [rendition.key for rendition in Presets.parse("a=width=9&format=auto").renditions]

    assert keys == ["width=9&format=auto", "width=9&format=auto-webp", "width=9&format=auto-avif"]


def test_there_are_not_too_many() -> None:
    text = ";".join(f"p{n}=width={n + 1}" for n in range(MAX_PRESETS + 1))

    with pytest.raises(ValueError, match=f"at most {MAX_PRESETS}"):
        Presets.parse(text)
