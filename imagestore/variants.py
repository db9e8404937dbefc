"""Which renditions of a domain's pictures can be had: a budget against those who ask for all of them.

`VARIANTS='shop=presets, blog=steps:160, *=any'`. The original can always be had.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Literal

from imagestore.errors import Forbidden
from imagestore.rendition import MAX_SIDE, Rendition

Kind = Literal["any", "steps", "presets", "signed"]


@dataclass(frozen=True, slots=True)
class Variants:
    """A domain's rule. What a preset stands for can be had under each of them."""

    kind: Kind = "any"
    step: int = 1
    """Of `steps`: pixels, 2 to 4096; widths and heights are rounded up to multiples of it."""

    @classmethod
    def parse(cls, text: str) -> "Variants":
        """The rule that one word of the setting `VARIANTS` stands for; nginx/lua/gate.lua reads it too.

        Raises:
            ValueError: it is none of `any`, `steps:<pixels>`, `presets` and `signed`.
        """
        for kind in _KINDS:
            if text == kind:
                return cls(kind)
        word, _, step = text.partition(":")
        if word == "steps" and step.isascii() and step.isdigit() and 2 <= int(step[:9]) <= MAX_SIDE:
            return cls("steps", int(step))
        raise ValueError(
            f"rule is {text[:40]!r}, expected any, steps:2 to steps:{MAX_SIDE}, presets or signed"
        )

    def settle(self, rendition: Rendition, presets: Collection[Rendition]) -> Rendition:
        """What is given to those who wish for `rendition`, which may be a little larger than they said.

        `presets` are the renditions of all presets.

        Raises:
            Forbidden: there is nothing but presets to be had.
        """
        if self.kind in ("any", "signed") or rendition.is_original or rendition in presets:
            return rendition
        if self.kind == "presets":
            raise Forbidden("pictures of this domain can be had in the sizes of its presets alone")
        return replace(
            rendition, width=self._rounded(rendition.width), height=self._rounded(rendition.height)
        )

    def _rounded(self, side: int | None) -> int | None:
        return side and min(MAX_SIDE, -(-side // self.step) * self.step)


_KINDS: tuple[Kind, ...] = ("any", "presets", "signed")
