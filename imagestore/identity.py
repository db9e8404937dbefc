"""What a picture is called for good: its cache field and its strong ETag.

Both come from inputs alone (content hash, rendition key, recipe, the mark's identity), so that a
304 needs no bytes. Whatever can change the bytes of an answer is in the name.
"""

import hashlib
import json
from dataclasses import asdict, dataclass

from imagestore.errors import InvalidParameter
from imagestore.names import WATERMARK_DOMAIN
from imagestore.records import ImageRecord
from imagestore.rendition import COMPASS, Rendition
from imagestore.settings import Encoding

RENDER_VERSION = 6
"""Grows when the engines change what they make of the same input."""

ORIGINAL_FIELD = "original"


@dataclass(frozen=True, slots=True)
class MarkDefaults:
    """How a watermark lies on pictures when the request does not say; kept in its user metadata."""

    position: str = "southeast"
    opacity: float = 1.0
    scale: float | None = None
    margin: int = 10

    @classmethod
    def of(cls, record: ImageRecord) -> "MarkDefaults":
        """The defaults in a stored mark's metadata; what is not there or not valid is the general default."""
        try:
            return cls.parse(dict(record.user_metadata))
        except InvalidParameter:
            return cls()

    @classmethod
    def parse(cls, metadata: dict[str, object]) -> "MarkDefaults":
        """The defaults that a mark's user metadata asks for; other members are the user's own.

        Raises:
            InvalidParameter: `position`, `opacity`, `scale` or `margin` is outside its range.
        """
        defaults = cls()
        position = metadata.get("position", defaults.position)
        if position not in (*COMPASS, "tile"):
            raise InvalidParameter(
                "metadata", f"position of a watermark is one of {', '.join(COMPASS)} or tile"
            )
        opacity = _number(metadata, "opacity", defaults.opacity, 0.01, 1)
        margin = _number(metadata, "margin", defaults.margin, 0, 1000)
        scale = _number(metadata, "scale", 0.01, 0.01, 1) if metadata.get("scale") is not None else None
        return cls(str(position), opacity, scale, int(margin))


def _number(metadata: dict[str, object], name: str, default: float, low: float, high: float) -> float:
    value = metadata.get(name, default)
    if not isinstance(value, int | float) or isinstance(value, bool) or not low <= value <= high:
        raise InvalidParameter("metadata", f"{name} of a watermark is a number from {low} to {high}")
    return value


def mark_identity(record: ImageRecord) -> str:
    """What of a watermark shows in pictures: its bytes and its defaults. Empty for other domains."""
    if record.domain != WATERMARK_DOMAIN:
        return ""
    looks = json.dumps(asdict(MarkDefaults.of(record)), sort_keys=True)
    return _digest(f"{record.sha256}|{looks}")[:16]


def recipe(engine: str, encoding: Encoding) -> str:
    """A short name of the settings that the same rendition key is rendered by."""
    return _digest(json.dumps([RENDER_VERSION, engine, asdict(encoding)], sort_keys=True))[:6]


def cache_field(rendition: Rendition, recipe_name: str, mark: str = "") -> str:
    """The picture's field in the cache: `<rendition key>@<recipe>[#<mark>]`, or `original`."""
    if rendition.is_original:
        return ORIGINAL_FIELD
    return f"{rendition.key}@{recipe_name}" + (f"#{mark}" if mark else "")


def picture_etag(sha256: str, field: str) -> str:
    """The strong ETag, quotes included (RFC 9110 §8.8.3); an original's is its own hash."""
    if field == ORIGINAL_FIELD:
        return f'"{sha256[:32]}"'
    return f'"{_digest(f"{sha256}|{field}")[:32]}"'


def record_etag(record: ImageRecord) -> str:
    """The ETag of what is known about an image, as against the image itself."""
    return f'"i{record.id}-{record.rev}"'


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
