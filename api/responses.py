"""What every answer with a picture or with an image's description has in common."""

import json
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any, BinaryIO
from urllib.parse import quote

import falcon

from imagestore.identity import record_etag
from imagestore.records import ImageRecord, description
from imagestore.taskrecords import TaskRecord, describe_task

CONTENT_SECURITY_POLICY = "default-src 'none'; sandbox"
STREAM_CHUNK_BYTES = 256 * 1024

_ETAG = re.compile(r'(?:W/)?("[^"]*")')


def etag_listed(header: str | None, etags: list[str], *, weak: bool) -> bool:
    """Whether a list of entity tags (If-Match, If-None-Match) names one of `etags`, or is `*`.

    The weak comparison is If-None-Match's, the strong one If-Match's (RFC 9110 §8.8.3.2).
    """
    if header is None:
        return False
    if header.strip() == "*":
        return bool(etags)
    listed = {match[1] for match in _ETAG.finditer(header) if weak or not match[0].startswith("W/")}
    return not listed.isdisjoint(etags)


def not_modified(req: falcon.Request, resp: falcon.Response, etag: str) -> bool:
    """Set the ETag; if the client has this very answer, make it a 304 (RFC 9110 §15.4.5)."""
    resp.set_header("ETag", etag)
    if not etag_listed(req.get_header("If-None-Match"), [etag], weak=True):
        return False
    resp.status = 304
    return True


def picture_headers(resp: falcon.Response, *, cache_control: str, resource_policy: str) -> None:
    """The headers that keep a stranger's bytes from being anything but a picture."""
    resp.set_header("Cache-Control", cache_control)
    resp.set_header("X-Content-Type-Options", "nosniff")
    resp.set_header("Content-Security-Policy", CONTENT_SECURITY_POLICY)
    resp.set_header("Cross-Origin-Resource-Policy", resource_policy)


def content_disposition(file_name: str) -> str:
    """An attachment of that name: plain for old clients, RFC 8187 for all characters."""
    plain = re.sub(r"[^A-Za-z0-9 ._()\[\]-]", "_", file_name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(file_name, safe='')}"


def send_json(resp: falcon.Response, value: Any, *, status: int = 200) -> None:
    """A JSON answer that clients ask for again each time."""
    _send_text(resp, json.dumps(value, ensure_ascii=False), status)


def _send_text(resp: falcon.Response, text: str, status: int) -> None:
    resp.status = status
    resp.content_type = "application/json"
    resp.set_header("X-Content-Type-Options", "nosniff")
    if resp.get_header("Cache-Control") is None:
        resp.set_header("Cache-Control", "no-cache")
    resp.text = text


def send_image(resp: falcon.Response, record: ImageRecord, *, status: int = 200) -> None:
    """The description of an image, with the ETag that If-Match takes."""
    resp.set_header("ETag", record_etag(record))
    _send_text(resp, description(record), status)


def send_accepted(resp: falcon.Response, task: TaskRecord) -> None:
    """202 with the task, and where to ask for it."""
    send_json(resp, describe_task(task), status=202)
    resp.set_header("Location", f"/v1/tasks/{task.id}")


class Streamed:
    """A body that is copied through this process: for stores that nginx cannot reach itself.

    WSGI servers iterate it and call `close` in the end, also when the client went away (PEP 3333).
    """

    def __init__(self, opened: AbstractContextManager[BinaryIO]) -> None:
        self._opened = opened
        self._stream = opened.__enter__()

    def __iter__(self) -> Iterator[bytes]:
        while chunk := self._stream.read(STREAM_CHUNK_BYTES):
            yield chunk

    def close(self) -> None:
        self._opened.__exit__(None, None, None)
