"""How records, pictures and failures are written in Redis. Every key has a life; RQ's have none.

record:<id>             hash: rev, state (live, barred, gone), and of a live one sha256, md5sum, size,
                        type, name (<domain>/<dkey>), mark (its identity as a watermark) and info (its
                        description, as clients get it)
sum:<md5 or sha256>     id, a hint: the record must still have that content
key:<domain>/<dkey>     id, a hint: the record must still have that name
picture:<sha256>        hash: field of the rendition, or `original` -> picture
base:<sha256>           the large base picture (bases.py), written like a picture; its ETag tells the recipe
small:<sha256>          the small base picture, written alike
smalls                  list: the keys of those, the oldest first
spellings               hash: raw query -> field, and on a second line the dkey of the watermark or nothing
failure:<sha256>:<field>  why it could not be made, for some seconds
lock:<sha256>:<field>   token of the one who makes it

nginx reads the first four (nginx/lookup.redis.lua).
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from imagestore.errors import ImagestoreError, InvalidParameter, ProcessingTimeout, RejectedImage
from imagestore.records import ImageRecord, Picture, described_image


@dataclass(frozen=True, slots=True)
class Gone:
    """The tombstone of a deleted image."""

    id: int
    rev: int


@dataclass(frozen=True, slots=True)
class CachedPicture:
    """A picture with its strong entity tag, quotes included (RFC 9110 §8.8.3)."""

    etag: str
    picture: Picture


@dataclass(frozen=True, slots=True)
class Shortcut:
    """How a picture is made where the small base picture that `etag` names is there."""

    etag: str
    make: Callable[[bytes], Picture]


@dataclass(frozen=True, slots=True)
class Usage:
    """Memory of Redis in bytes (no bound: 0); how many keys it pushed out and let expire since its start."""

    used: int
    bound: int
    evicted: int
    expired: int


@dataclass(frozen=True, slots=True)
class Setup:
    """How a Redis is set up, how many keys it has, and its clock (UTC)."""

    policy: str
    append_only: bool
    keys: int
    time: datetime

    @property
    def keeps_jobs(self) -> bool:
        """Whether a full one pushes out only keys that end by themselves, which jobs do not."""
        return self.policy.startswith("volatile-")


def load_record(text: bytes) -> ImageRecord | None:
    """The record of a description; None for one that another version of this program wrote."""
    try:
        return described_image(text)
    except (TypeError, KeyError, ValueError):
        return None


def dump_picture(etag: str, picture: Picture) -> bytes:
    """Content type and entity tag, a line each, then the bytes; nginx/lua/redis.lua reads it too."""
    return f"{picture.content_type}\n{etag}\n".encode() + picture.body


def load_picture(value: bytes) -> CachedPicture:
    """The inverse of `dump_picture`."""
    content_type, etag, body = value.split(b"\n", 2)
    return CachedPicture(etag.decode(), Picture(content_type.decode(), body))


def is_remembered(error: ImagestoreError) -> bool:
    """Whether asking again at once would fail again: the fault is in the picture or in the wish."""
    return type(error).name in _REMEMBERED and isinstance(
        error, (RejectedImage, ProcessingTimeout, InvalidParameter)
    )


def dump_failure(error: ImagestoreError) -> str:
    """The error's name, its parameter or nothing, and its detail, a line each."""
    return f"{error.name}\n{getattr(error, 'parameter', '')}\n{error.detail}"


def load_failure(value: bytes) -> ImagestoreError | None:
    """The inverse of `dump_failure`; None for an error that this version does not know."""
    name, parameter, detail = value.decode().split("\n", 2)
    if name == InvalidParameter.name:
        return InvalidParameter(parameter, detail)
    known = _REMEMBERED.get(name)
    return None if known is None else known(detail)


_KINDS: tuple[type[ImagestoreError], ...] = (
    *RejectedImage.__subclasses__(),
    ProcessingTimeout,
    InvalidParameter,
)
_REMEMBERED = {kind.name: kind for kind in _KINDS}
