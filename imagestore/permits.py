"""Leave to upload one picture, as a value: what an upload token allows."""

import dataclasses
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from imagestore.errors import InvalidParameter, UnsupportedMediaType
from imagestore.records import CONTENT_TYPES

MAX_LIFE_S = 24 * 3600
DEFAULT_LIFE_S = 600

FORMATS: Mapping[str, str] = {content_type: format for format, content_type in CONTENT_TYPES.items()}
"""Content type -> format."""

UPLOAD_TOKEN_PREFIX = "ist_"  # noqa: S105 - what they begin with, not one of them
"""Of every upload token, and of no key, so that one is told from the other."""


@dataclasses.dataclass(frozen=True, slots=True)
class Permit:
    """One picture may be put under `domain` and `dkey` (None: a name made from its hash).

    `max_bytes` None is the server's limit; no `formats` are all that it accepts.
    """

    domain: str
    dkey: str | None = None
    overwrite: bool = False
    max_bytes: int | None = None
    formats: frozenset[str] = frozenset()

    def check_format(self, format: str) -> None:
        """Check what the bytes of the picture say that it is.

        Raises:
            UnsupportedMediaType: another format was asked for.
        """
        if self.formats and format not in self.formats:
            types = ", ".join(sorted(CONTENT_TYPES[one] for one in self.formats))
            raise UnsupportedMediaType(f"the picture is {CONTENT_TYPES[format]}, expected one of {types}")


@dataclasses.dataclass(frozen=True, slots=True)
class UploadToken:
    """A token as the database knows it, which is without its secret; `key_id` is who asked for it."""

    id: int
    key_id: str
    permit: Permit
    expire_time: datetime


def check_content_types(content_types: list[str]) -> frozenset[str]:
    """The formats of some content types.

    Raises:
        InvalidParameter: there is none, or one of them is not accepted here.
    """
    unknown = [one for one in content_types if one not in FORMATS]
    if unknown or not content_types:
        said = repr(unknown[0][:40]) if unknown else "an empty list"
        raise InvalidParameter(
            "content_types", f"content_types has {said}, expected some of {', '.join(FORMATS)}"
        )
    return frozenset(FORMATS[one] for one in content_types)


def describe_token(token: UploadToken) -> dict[str, Any]:
    """A token as JSON, without its secret."""
    permit = token.permit
    return {
        "id": token.id,
        "domain": permit.domain,
        "dkey": permit.dkey,
        "overwrite": permit.overwrite,
        "max_bytes": permit.max_bytes,
        "content_types": sorted(CONTENT_TYPES[one] for one in permit.formats) or None,
        "expire_time": token.expire_time.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z",
    }
