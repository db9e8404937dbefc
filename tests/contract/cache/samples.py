"""A record and a picture to keep, and caches to keep them in."""

import dataclasses
import threading
from datetime import UTC, datetime

from imagestore.cache import MAX_SPELLINGS, Cache
from imagestore.picturecache import MAX_PICTURES_BYTES
from imagestore.records import ImageRecord, Picture

SHA = "5f" * 32
FIELD = "width=300@abc123"
RECIPE = "abc123"
PICTURE = Picture("image/webp", bytes(range(256)) + b"\n\n\r\n")
NOON = datetime(2024, 2, 29, 12, 0, 0, 123000, tzinfo=UTC)
RECORD = ImageRecord(
    id=7,
    rev=3,
    domain="demo",
    dkey="päth/ä b😀.jpg",
    sha256=SHA,
    md5sum="a7" * 16,
    size=1234,
    format="jpeg",
    width=40,
    height=30,
    image_metadata={"frames": 1, "orientation": 6, "alpha": False, "camera": {"make": "Zeiß"}},
    user_metadata={"tags": ["a", None, 1.5]},
    create_time=NOON,
    update_time=NOON,
)


def make_cache(
    port: int,
    *,
    fields_max: int = 64,
    bytes_max: int = MAX_PICTURES_BYTES,
    spellings_max: int = MAX_SPELLINGS,
) -> Cache:
    return Cache(
        f"redis://127.0.0.1:{port}/0",
        record_ttl_s=600,
        picture_ttl_s=3600,
        fields_max=fields_max,
        bytes_max=bytes_max,
        spellings_max=spellings_max,
    )


def at_rev(rev: int, **changes: object) -> ImageRecord:
    return dataclasses.replace(RECORD, rev=rev, **changes)  # type: ignore[arg-type]  # any field


class Maker:
    """Makes PICTURE when `go` is set, and counts."""

    def __init__(self, error: Exception | None = None) -> None:
        self.go = threading.Event()
        self.calls = 0
        self._error = error

    def __call__(self) -> Picture:
        self.calls += 1
        assert self.go.wait(20)
        if self._error:
            raise self._error
        return PICTURE
