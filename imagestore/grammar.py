"""The grammars of parameter values: each parser takes a parameter's name and text, and gives its value.

Raises (all of them):
    InvalidParameter: the text is outside the grammar; the message names the parameter and what was expected.
"""

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from urllib.parse import quote

from imagestore.errors import InvalidParameter

_COLOURS = {"white": "ffffff", "black": "000000", "transparent": "00000000"}
_INTEGER = re.compile(r"[0-9]{1,9}", re.ASCII)
_DECIMAL = re.compile(r"[0-9]{1,9}(\.[0-9]{1,4})?", re.ASCII)
_HEX_COLOUR = re.compile(r"[0-9a-f]{3}|[0-9a-f]{6}|[0-9a-f]{8}", re.ASCII)


def integer(low: int, high: int) -> Callable[[str, str], int]:
    """An integer of ASCII digits, nothing else, from `low` to `high`."""

    def parse(name: str, text: str) -> int:
        if not _INTEGER.fullmatch(text) or not low <= int(text) <= high:
            raise InvalidParameter(name, f"{name} is {text[:40]!r}, expected an integer from {low} to {high}")
        return int(text)

    return parse


def decimal(low: str, high: str) -> Callable[[str, str], float]:
    """A number with at most four decimals, from `low` to `high`."""

    def parse(name: str, text: str) -> float:
        if not _DECIMAL.fullmatch(text) or not Decimal(low) <= Decimal(text) <= Decimal(high):
            raise InvalidParameter(name, f"{name} is {text[:40]!r}, expected a number from {low} to {high}")
        return float(text)

    return parse


def choice(choices: tuple[str, ...], synonyms: Mapping[str, str] | None = None) -> Callable[[str, str], str]:
    """One of some words, or a synonym of one."""

    def parse(name: str, text: str) -> str:
        value = (synonyms or {}).get(text, text)
        if value not in choices:
            raise InvalidParameter(name, f"{name} is {text[:40]!r}, expected one of {', '.join(choices)}")
        return value

    return parse


def boolean(name: str, text: str) -> bool:
    """1, 0, true or false."""
    if text not in ("1", "0", "true", "false"):
        raise InvalidParameter(name, f"{name} is {text[:40]!r}, expected 1, 0, true or false")
    return text in ("1", "true")


def colour(name: str, text: str) -> str:
    """`rgb`, `rrggbb`, `rrggbbaa` or a name, as `rrggbb` or `rrggbbaa`."""
    value = _COLOURS.get(text.lower(), text.lower().removeprefix("#"))
    if not _HEX_COLOUR.fullmatch(value):
        raise InvalidParameter(
            name, f"{name} is {text[:40]!r}, expected rgb, rrggbb, rrggbbaa, white, black or transparent"
        )
    if len(value) == 3:
        value = "".join(digit * 2 for digit in value)
    return value[:6] if value.endswith("ff") and len(value) == 8 else value


def spell(value: object) -> str:
    """A value as the canonical key writes it."""
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, float):
        return f"{value:.4f}".rstrip("0").rstrip(".")
    return quote(str(value), safe="/:,.~-_")
