"""The values that travel: what the bytes of a picture say, what is known of a stored image,
and a finished picture. All frozen; none has a method that does I/O."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

CONTENT_TYPES: Mapping[str, str] = {
    "jpeg": "image/jpeg",
    "png": "image/png",
    "gif": "image/gif",
    "webp": "image/webp",
    "avif": "image/avif",
    "heic": "image/heic",
    "tiff": "image/tiff",
    "bmp": "image/bmp",
}
"""Every format that may be stored, with its media type (IANA registry)."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What the bytes of a picture say about it.

    `width` and `height` are pixels as a viewer sees the picture: the whole canvas of an animation,
    after the EXIF orientation (1 to 8, EXIF 2.32 §4.6.4) is applied. `orientation` is the one in
    the bytes. `animated` formats count their frames in `frames`; a still picture has one. `truncated`
    says that the file ends too early, and that there is a picture in what is there. `file` is the
    width and height of a smaller copy that stands for the picture (`bases.py`), else None.
    """

    format: str
    width: int
    height: int
    frames: int = 1
    orientation: int = 1
    alpha: bool = False
    truncated: bool = False
    file: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Content:
    """A content-addressed original: hex digests and length in bytes."""

    sha256: str
    md5sum: str
    size: int


@dataclass(frozen=True, slots=True)
class Spooled:
    """A received body: a file on disk, its first 64 bytes, and what it is by content."""

    path: Path
    head: bytes
    content: Content


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """A row of `image_info`: one image under one name.

    `rev` starts at 1 and grows with every change of the row. Times are UTC, to the millisecond.
    `image_metadata` holds what was read from the bytes, with at least `frames`, `orientation` and
    `alpha`; `user_metadata` is the caller's own JSON object.
    """

    id: int
    rev: int
    domain: str
    dkey: str
    sha256: str
    md5sum: str
    size: int
    format: str
    width: int
    height: int
    image_metadata: Mapping[str, Any]
    user_metadata: Mapping[str, Any]
    create_time: datetime
    update_time: datetime

    @property
    def facts(self) -> Facts:
        """The part of the row that the engines need."""
        seen = self.image_metadata
        return Facts(
            self.format,
            self.width,
            self.height,
            frames=seen.get("frames", 1),
            orientation=seen.get("orientation", 1),
            alpha=seen.get("alpha", False),
            truncated=seen.get("truncated", False),
        )


def describe_image(record: ImageRecord) -> dict[str, Any]:
    """An image as JSON: every column, and where to get it. Sizes in pixels and bytes, times in UTC."""
    name = f"/{record.domain}/{quote(record.dkey)}"
    return {
        "id": record.id,
        "rev": record.rev,
        "domain": record.domain,
        "dkey": record.dkey,
        "md5sum": record.md5sum,
        "sha256": record.sha256,
        "format": record.format,
        "content_type": CONTENT_TYPES[record.format],
        "width": record.width,
        "height": record.height,
        "size": record.size,
        "image_metadata": dict(record.image_metadata),
        "user_metadata": dict(record.user_metadata),
        "create_time": record.create_time.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z",
        "update_time": record.update_time.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z",
        "links": {
            "self": f"/v1/images/{record.id}",
            "original": name,
            "by_id": f"/image/read?id={record.id}",
            "by_sum": f"/image/read?sum={record.md5sum}",
        },
    }


def description(record: ImageRecord) -> str:
    """`describe_image` as the text that clients get, byte for byte, from the API and from nginx."""
    return json.dumps(describe_image(record), ensure_ascii=False)


def described_image(text: bytes | str) -> ImageRecord:
    """The inverse of `description`.

    Raises:
        TypeError, KeyError, ValueError: it is none, or another version's.
    """
    values = json.loads(text)
    del values["content_type"], values["links"]
    for name in ("create_time", "update_time"):
        values[name] = datetime.fromisoformat(values[name])
    return ImageRecord(**values)


@dataclass(frozen=True, slots=True)
class Picture:
    """A finished picture: what a GET answers with."""

    content_type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class LocalFile:
    """nginx can send it from `Storage.root`; `path` is relative to that."""

    path: str


@dataclass(frozen=True, slots=True)
class RemoteObject:
    """nginx can fetch it from `url`, which is a secret for as long as its signature holds (60 s)."""

    url: str


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A stored original: bytes, and when it was put last (UTC)."""

    sha256: str
    size: int
    modified: datetime


class Source(Protocol):
    """Anything that can be read to its end."""

    def read(self, size: int, /) -> bytes: ...
