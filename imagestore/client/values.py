"""What a server knows about pictures and tasks, as values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Image:
    """A stored picture. Width and height in pixels as a viewer sees it, `size` in bytes, times in UTC."""

    id: int
    rev: int
    domain: str
    dkey: str
    md5sum: str
    sha256: str
    format: str
    content_type: str
    width: int
    height: int
    size: int
    image_metadata: Json
    user_metadata: Json
    create_time: datetime
    update_time: datetime
    described: Json = field(repr=False, compare=False)
    """All of it as the server wrote it, with members that a newer server may have added."""

    @property
    def etag(self) -> str:
        """What `If-Match` takes; changes with every change of the picture or of what is known of it."""
        return f'"i{self.id}-{self.rev}"'

    @classmethod
    def parse(cls, described: Json) -> "Image":
        """The picture that a server's JSON describes."""
        values = {name: described[name] for name in cls.__slots__ if name != "described"}
        times = {name: _moment(described[name]) for name in ("create_time", "update_time")}
        return cls(**{**values, **times}, described=described)


@dataclass(frozen=True, slots=True)
class Stored:
    """A picture that was sent, as it is now in the store."""

    image: Image
    created: bool
    """Whether there is a new one; else it was replaced, or the same bytes were there under its name."""


@dataclass(frozen=True, slots=True)
class Task:
    """Something that the server does later, and how it ended. Times are UTC."""

    id: int
    kind: str
    """`download`, `upload` or `pregenerate`."""
    domain: str
    dkey: str | None
    url: str | None
    flag: str
    """`created` until it has ended; then `succeed`, `warning` or `failed`."""
    problem: str | None
    """A short word for why it failed, or what should be known."""
    flag_ext: str | None
    """That word and a sentence."""
    image_id: int | None
    attempts: int
    create_time: datetime
    end_time: datetime | None
    described: Json = field(repr=False, compare=False)
    """All of it as the server wrote it."""

    @property
    def ended(self) -> bool:
        return self.flag != "created"

    @classmethod
    def parse(cls, described: Json) -> "Task":
        """The task that a server's JSON describes."""
        values = {name: described[name] for name in cls.__slots__ if name != "described"}
        times = {name: _moment(text) for name in ("create_time", "end_time") if (text := described[name])}
        return cls(**{**values, **times}, described=described)


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
