"""Request bodies: an upload as a multipart form or as the raw picture, and JSON."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import falcon
from falcon.media.multipart import BodyPart, MultipartParseError

from api.errors import unknown_parameter
from imagestore.errors import InvalidParameter, InvalidRequest, PayloadTooLarge, UnsupportedMediaType
from imagestore.metrics import count_received
from imagestore.query import parse_query
from imagestore.records import Spooled
from imagestore.service import ImageStore
from imagestore.strictjson import MAX_METADATA_BYTES, parse_object

UPLOAD_FIELDS = frozenset(["domain", "dkey", "metadata", "overwrite", "mode", "callback"])

RAW_TYPES = frozenset(["application/octet-stream", "application/x-www-form-urlencoded", ""])
"""Media types of a raw picture besides image/*; the second is what curl calls any data."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A received picture with the words that came along."""

    spooled: Spooled
    fields: dict[str, str]

    @property
    def user_metadata(self) -> dict[str, Any] | None:
        """The `metadata` field, a JSON object; None when it was not sent."""
        text = self.fields.get("metadata")
        return None if text is None else parse_object(text, what="metadata")

    @property
    def overwrite(self) -> bool:
        value = self.fields.get("overwrite", "0")
        if value not in ("0", "1", "true", "false"):
            raise InvalidParameter("overwrite", f"overwrite is {value[:40]!r}, expected 1, 0, true or false")
        return value in ("1", "true")


@contextlib.contextmanager
def receive_upload(
    store: ImageStore, req: falcon.Request, *, allowed: frozenset[str], max_bytes: int | None = None
) -> Iterator[Upload]:
    """The upload in a request; its file is gone after the `with` block.

    Fields come as form parts, or for a raw body as query parameters. `allowed` are their names.
    The picture may have `max_bytes`, or as many as the settings say.

    Raises:
        InvalidRequest: broken form, missing or repeated part, unknown field.
        UnsupportedMediaType, PayloadTooLarge, InsufficientStorage
    """
    media_type = media_type_of(req)
    max_bytes = max_bytes or store.settings.limits.max_upload_bytes
    with contextlib.ExitStack() as stack:
        fields = parse_query(req.query_string)
        if media_type == "multipart/form-data":
            spooled = _receive_form(store, req, fields, stack, max_bytes)
        elif media_type in RAW_TYPES or media_type.startswith("image/"):
            spooled = stack.enter_context(store.spool.receive(req.bounded_stream, max_bytes=max_bytes))
        else:
            raise UnsupportedMediaType(
                f"the body is {media_type[:60]!r}, expected multipart/form-data, image/* or octet-stream"
            )
        count_received("upload", spooled.content.size)
        for name in fields.keys() - allowed:
            raise unknown_parameter(name, f"one of {', '.join(sorted(allowed)) or 'none'}")
        if spooled.content.size == 0:
            raise InvalidRequest(
                "the picture has 0 bytes, expected those of a picture, as the body or as the part 'file'"
            )
        yield Upload(spooled, fields)


def media_type_of(req: falcon.Request) -> str:
    """The request body's type without its parameters, in lower case; empty when none is said."""
    return (req.content_type or "").partition(";")[0].strip().lower()


def read_json(req: falcon.Request) -> dict[str, Any]:
    """The JSON object in a request's body.

    Raises:
        InvalidRequest, UnsupportedMediaType, PayloadTooLarge
    """
    media_type = media_type_of(req)
    if media_type not in ("application/json", "application/merge-patch+json"):
        raise UnsupportedMediaType(f"the body is {media_type[:60]!r}, expected application/json")
    body = req.bounded_stream.read(2 * MAX_METADATA_BYTES + 1)
    if len(body) > 2 * MAX_METADATA_BYTES:
        raise PayloadTooLarge(f"the body is over {2 * MAX_METADATA_BYTES} bytes")
    return parse_object(body, what="the body")


def _receive_form(
    store: ImageStore,
    req: falcon.Request,
    fields: dict[str, str],
    stack: contextlib.ExitStack,
    max_bytes: int,
) -> Spooled:
    spooled: Spooled | None = None
    try:
        for part in req.get_media():
            if part.name == "file":
                if spooled is not None:
                    raise InvalidRequest("the form has two parts named 'file', expected one")
                spooled = stack.enter_context(store.spool.receive(part.stream, max_bytes=max_bytes))
            elif part.name in fields:
                raise InvalidRequest(f"{part.name!r} is given more than once, expected once")
            else:
                fields[part.name or ""] = _text(part)
    except MultipartParseError as error:
        raise InvalidRequest(f"the form is broken: {error.description or 'unexpected structure'}") from error
    except UnicodeDecodeError as error:
        raise InvalidRequest("the form has a part whose headers are not UTF-8") from error
    if spooled is None:
        raise InvalidRequest("the form has no part named 'file'")
    return spooled


def _text(part: BodyPart) -> str:
    body = part.get_data()
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidRequest(f"the form part {part.name!r} is not UTF-8") from error
