"""The grammars of parameter values: how a text is read, and the same as a JSON Schema.

Raises (all of them, when they are called):
    InvalidParameter: the text is outside the grammar; the message names the parameter and what was expected.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Generic, TypeVar
from urllib.parse import quote

from imagestore.errors import InvalidParameter

_COLOURS = {"white": "ffffff", "black": "000000", "transparent": "00000000"}
_INTEGER = re.compile(r"[0-9]{1,9}", re.ASCII)
_DECIMAL = re.compile(r"[0-9]{1,9}(\.[0-9]{1,4})?", re.ASCII)
_HEX_COLOUR = re.compile(r"[0-9a-f]{3}|[0-9a-f]{6}|[0-9a-f]{8}", re.ASCII)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Grammar(Generic[T]):
    """What a parameter may be: called with its name and text, it gives the value.

    `schema` says the same of the text in a URL for the OpenAPI document (JSON Schema 2020-12); a number's
    is that of its value, as OpenAPI reads parameters.
    """

    parse: Callable[[str, str], T]
    schema: Mapping[str, Any]

    def __call__(self, name: str, text: str) -> T:
        return self.parse(name, text)


def integer(low: int, high: int) -> Grammar[int]:
    """An integer of ASCII digits, nothing else, from `low` to `high`."""

    def parse(name: str, text: str) -> int:
        if not _INTEGER.fullmatch(text) or not low <= int(text) <= high:
            raise InvalidParameter(name, f"{name} is {text[:40]!r}, expected an integer from {low} to {high}")
        return int(text)

    return Grammar(parse, {"type": "integer", "minimum": low, "maximum": high})


def decimal(low: str, high: str) -> Grammar[float]:
    """A number with at most four decimals, from `low` to `high`."""

    def parse(name: str, text: str) -> float:
        if not _DECIMAL.fullmatch(text) or not Decimal(low) <= Decimal(text) <= Decimal(high):
            raise InvalidParameter(name, f"{name} is {text[:40]!r}, expected a number from {low} to {high}")
        return float(text)

    return Grammar(parse, {"type": "number", "minimum": float(low), "maximum": float(high)})


def choice(choices: tuple[str, ...], synonyms: Mapping[str, str] | None = None) -> Grammar[str]:
    """One of some words, or a synonym of one."""

    def parse(name: str, text: str) -> str:
        value = (synonyms or {}).get(text, text)
        if value not in choices:
            raise InvalidParameter(name, f"{name} is {text[:40]!r}, expected one of {', '.join(choices)}")
        return value

    return Grammar(parse, _words((*choices, *(synonyms or {})), len(choices)))


def _words(words: tuple[str, ...], plain: int) -> Mapping[str, Any]:
    """A schema of some words; those after the first `plain` are only other names for one of them."""
    synonyms = {"x-synonyms": list(words[plain:])} if words[plain:] else {}
    return {"type": "string", "enum": list(words), **synonyms}


def _boolean(name: str, text: str) -> bool:
    if text not in ("1", "0", "true", "false"):
        raise InvalidParameter(name, f"{name} is {text[:40]!r}, expected 1, 0, true or false")
    return text in ("1", "true")


boolean = Grammar(_boolean, _words(("1", "0", "true", "false"), 2))
"""1, 0, true or false."""


def _colour(name: str, text: str) -> str:
    value = _COLOURS.get(text.lower(), text.lower().removeprefix("#"))
    if not _HEX_COLOUR.fullmatch(value):
        raise InvalidParameter(
            name, f"{name} is {text[:40]!r}, expected rgb, rrggbb, rrggbbaa, white, black or transparent"
        )
    if len(value) == 3:
        value = "".join(digit * 2 for digit in value)
    return value[:6] if value.endswith("ff") and len(value) == 8 else value


_ANY_CASE = "|".join("".join(f"[{c}{c.upper()}]" for c in name) for name in _COLOURS)

colour = Grammar(
    _colour,
    {
        "type": "string",
        "pattern": rf"^(#?([0-9A-Fa-f]{{3}}|[0-9A-Fa-f]{{6}}|[0-9A-Fa-f]{{8}})|{_ANY_CASE})$",
        "examples": ["fff", "336699", "33669980", "transparent"],
    },
)
"""`rgb`, `rrggbb`, `rrggbbaa` or a name, as `rrggbb` or `rrggbbaa`."""


def spell(value: object) -> str:
    """A value as the canonical key writes it."""
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, float):
        return f"{value:.4f}".rstrip("0").rstrip(".")
    return quote(str(value), safe="/:,.~-_")
