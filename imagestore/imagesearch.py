"""What a list of images is narrowed to, and a page of what was found."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from imagestore.errors import InvalidParameter
from imagestore.records import ImageRecord

MAX_WISH_CHARACTERS = 255

SEARCHED_ROWS = 10_000
"""How many rows a page of a search for metadata reads at most."""


@dataclass(frozen=True, slots=True)
class MetadataWish:
    """What a caller's own metadata shall hold: `text` as the value of `name` at the top level, or for no
    name anywhere, in a name or in a value, with ASCII letters in either case."""

    name: str | None
    text: str

    @classmethod
    def parse(cls, text: str) -> "MetadataWish":
        """`name:value`, or a text without a colon; `:text` for one that holds a colon.

        Raises:
            InvalidParameter: it is empty or longer than 255 characters.
        """
        name, colon, value = text.partition(":")
        wish = cls(name, value) if name and colon else cls(None, text.removeprefix(":"))
        if len(text) > MAX_WISH_CHARACTERS or wish == cls(None, ""):
            raise InvalidParameter(
                "metadata",
                f"metadata is {text[:40]!r}, expected name:value or a text of 1 to {MAX_WISH_CHARACTERS}",
            )
        return wish

    @property
    def needles(self) -> tuple[str, ...]:
        """Texts of which the JSON of metadata that `fits` holds one; other metadata may too.

        The JSON is as models.ObjectField writes it. A character has one form in it wherever it stands,
        so that what is part of a string is part of its JSON.
        """
        if self.name is None:
            return (_json(self.text)[1:-1],)
        return tuple(f"{_json(self.name)}:{value}" for value in (_json(self.text), self.text))

    def fits(self, metadata: Mapping[str, Any]) -> bool:
        """Whether `metadata` holds what is wished; numbers, true, false and null are as JSON writes them."""
        if self.name is not None:
            return self.name in metadata and self.text in _spellings(metadata[self.name])
        wanted = _folded(self.text)
        return any(wanted in _folded(word) for word in _words(metadata))


@dataclass(frozen=True, slots=True)
class ImageSearch:
    """Which images; all of them, if nothing is said."""

    domain: str | None = None
    prefix: str = ""
    """Of the dkey; with a domain."""
    after: str | None = None
    """The dkey (with a domain) or the id of the image after which to go on."""
    digest: str | None = None
    """md5 or sha256 of the original."""
    metadata: MetadataWish | None = None


@dataclass(frozen=True, slots=True)
class ImagePage:
    """Images that were found, and `after` of the search for the next ones; None at the end.

    There may be fewer than were asked for, even none, and more to come.
    """

    records: list[ImageRecord]
    after: str | None


def _words(value: Any) -> Iterator[str]:
    """Every name and every value in a JSON value, as text."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield name
            yield from _words(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _words(inner)
    else:
        yield from _spellings(value)


def _spellings(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    return () if isinstance(value, (Mapping, list)) else (_json(value),)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _folded(text: str) -> bytes:
    """ASCII letters in lower case, all else as it is: what every database can do alike."""
    return text.encode().lower()
