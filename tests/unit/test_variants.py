"""What of a wish a domain's rule leaves."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagestore.errors import Forbidden
from imagestore.presets import Presets
from imagestore.rendition import Rendition
from imagestore.settings import InvalidSettings, Settings
from imagestore.variants import Variants

PRESETS = Presets.parse("thumb=width=33&height=20;card=width=640&format=auto").renditions
SIDES = st.none() | st.integers(1, 4096)


@given(SIDES, SIDES, st.integers(2, 4096))
def test_steps_leave_few_sizes_that_are_large_enough(
    width: int | None, height: int | None, step: int
) -> None:
    wish = Rendition(width=width, height=height)

    given = Variants.parse(f"steps:{step}").settle(wish, ())

    for asked, got in ((width, given.width), (height, given.height)):
        assert (asked is None) == (got is None)
        if asked and got:
            assert asked <= got < asked + step
            assert got % step == 0 or got == 4096
    assert Variants.parse(f"steps:{step}").settle(given, ()) == given


@pytest.mark.parametrize("rule", ["any", "steps:50", "presets", "signed"])
def test_originals_and_presets_are_left_as_they_are(rule: str) -> None:
    for wish in (Rendition(), *PRESETS):
        assert Variants.parse(rule).settle(wish, PRESETS) == wish


@pytest.mark.parametrize(
    "query", ["width=34&height=20", "width=33", "width=33&height=20&quality=5", "blur=1"]
)
def test_presets_alone_are_presets_alone(query: str) -> None:
    with pytest.raises(Forbidden):
        Variants.parse("presets").settle(Rendition.parse(query), PRESETS)


@pytest.mark.parametrize("query", ["width=33&height=20", "h=20&w=33", "w=640&format=auto-webp"])
def test_a_preset_by_its_parameters_is_one(query: str) -> None:
    wish = Rendition.parse(query)

    assert Variants.parse("presets").settle(wish, PRESETS) == wish


@pytest.mark.parametrize(
    "text", ["shop=some", "shop=steps", "shop=steps:1", "shop=steps:4097", "shop=steps:+5", "shop=signed"]
)
def test_wrong_rules_are_refused(text: str) -> None:
    with pytest.raises(InvalidSettings, match="VARIANTS"):
        Settings.from_env({"VARIANTS": text})
