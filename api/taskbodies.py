"""Downloads as clients ask for them: one JSON object each, in a list, or a line each."""

import json
import re
from collections.abc import Iterator
from typing import Any

import falcon

from api import members
from api.bodies import media_type_of
from imagestore.errors import (
    InvalidParameter,
    InvalidRequest,
    InvalidURL,
    PayloadTooLarge,
    UnsupportedMediaType,
)
from imagestore.grants import Grant
from imagestore.names import DEFAULT_DOMAIN, check_dkey, check_domain
from imagestore.records import Source
from imagestore.strictjson import MAX_METADATA_BYTES, parse_json
from imagestore.taskrecords import NewTask
from imagestore.tasks import batch_name
from imagestore.weburl import MAX_CHARACTERS, WebURL, check_url

FIELDS = frozenset(["url", "domain", "dkey", "page_url", "metadata", "callback", "overwrite"])

MAX_LINE_BYTES = 4 * MAX_METADATA_BYTES
"""Of one object; metadata is the longest part of it, and JSON may escape what is no ASCII."""

MAX_LIST_BYTES = 16 * 1024 * 1024
"""A JSON list is parsed as a whole; lines are not, so that there may be as many as will."""

MAX_LINES = 1_000_000

_IDEMPOTENCY_KEY = re.compile(r"[\x21-\x7e]{1,255}")
_CHUNK_BYTES = 64 * 1024

Line = tuple[int, Any]
"""Its number, from 1, and the object in it, or the InvalidRequest that reading it raised."""


def parse_download(value: Any) -> NewTask:
    """The download that a JSON object describes.

    Raises:
        InvalidRequest: it is no object, or a member is unknown or of the wrong type.
        InvalidURL, InvalidKey, InvalidParameter: a value is outside its grammar.
    """
    if not isinstance(value, dict):
        raise InvalidRequest('a download is a JSON object such as {"url": "https://..."}')
    for name in value.keys() - FIELDS:
        raise InvalidRequest(f"member {name[:40]!r} is unknown, expected some of {', '.join(sorted(FIELDS))}")
    given = _text(value, "url")
    if given is None:
        raise InvalidURL("url is missing, expected http://host/... or https://host/...")
    url = WebURL.parse(given)
    callback, page_url = _text(value, "callback"), _text(value, "page_url")
    domain, dkey = _text(value, "domain"), _text(value, "dkey")
    if page_url is not None and (len(page_url) > MAX_CHARACTERS or not page_url.isprintable()):
        raise InvalidParameter("page_url", f"page_url is no text of up to {MAX_CHARACTERS} characters")
    return NewTask(
        kind="download",
        domain=check_domain(DEFAULT_DOMAIN if domain is None else domain),
        dkey=None if dkey is None else check_dkey(dkey),
        url=str(url),
        host=url.authority,
        page_url=page_url,
        metadata=_metadata(value),
        callback=None if callback is None else check_url(callback),
        overwrite=members.boolean(value.get("overwrite", False), "overwrite"),
    )


def read_object(req: falcon.Request) -> dict[str, Any]:
    """The one JSON object in a request's body.

    Raises:
        InvalidRequest, UnsupportedMediaType, PayloadTooLarge
    """
    if media_type_of(req) != "application/json":
        raise UnsupportedMediaType(f"the body is {media_type_of(req)[:60]!r}, expected application/json")
    value = parse_json(_whole_body(req, MAX_LINE_BYTES), what="the body")
    if not isinstance(value, dict):
        raise InvalidRequest("the body is not a JSON object")
    return value


def read_lines(req: falcon.Request) -> Iterator[Line]:
    """The objects in a request's body: a JSON list, or NDJSON, which is read as it is asked for.

    A line that is no JSON comes as its error; empty lines are counted and left out.

    Raises:
        InvalidRequest: a JSON body is no list; there are too many lines.
        UnsupportedMediaType, PayloadTooLarge
    """
    media_type = media_type_of(req)
    if media_type in ("application/x-ndjson", "application/ndjson", "application/jsonl"):
        return _lines_of_stream(req.bounded_stream)
    if media_type != "application/json":
        raise UnsupportedMediaType(
            f"the body is {media_type[:60]!r}, expected application/json or application/x-ndjson"
        )
    values = parse_json(_whole_body(req, MAX_LIST_BYTES), what="the body")
    if not isinstance(values, list):
        raise InvalidRequest("the body is not a JSON list of downloads")
    return iter(enumerate(values, start=1))


def batch_of(req: falcon.Request, grant: Grant) -> str | None:
    """What the Idempotency-Key of a request names; None without that header.

    One key means one thing for each API key and route.

    Raises:
        InvalidRequest: it is not 1 to 255 printable ASCII characters.
    """
    given = req.get_header("Idempotency-Key")
    if given is None:
        return None
    if not _IDEMPOTENCY_KEY.fullmatch(given):
        raise InvalidRequest("Idempotency-Key is not 1 to 255 printable ASCII characters without spaces")
    return batch_name(grant.key_id, f"{req.path.removeprefix('/v1')}\n{given}")


def _lines_of_stream(stream: Source) -> Iterator[Line]:
    for number, line in enumerate(_split(stream), start=1):
        if number > MAX_LINES:
            raise PayloadTooLarge(f"there are more than {MAX_LINES} lines")
        if line is None:
            yield number, InvalidRequest(f"the line is over {MAX_LINE_BYTES} bytes")
        elif line.strip():
            try:
                yield number, parse_json(line, what="the line")
            except InvalidRequest as error:
                yield number, error


def _split(stream: Source) -> Iterator[bytes | None]:
    """The lines of a stream; None for one that is too long, of which no more than that is kept."""
    rest, too_long = b"", False
    while chunk := stream.read(_CHUNK_BYTES):
        *lines, tail = chunk.split(b"\n")
        for line in lines:
            whole = rest + line
            yield None if too_long or len(whole) > MAX_LINE_BYTES else whole
            rest, too_long = b"", False
        rest += tail
        if len(rest) > MAX_LINE_BYTES:
            rest, too_long = b"", True
    if rest or too_long:
        yield None if too_long else rest


def _whole_body(req: falcon.Request, max_bytes: int) -> bytes:
    body: bytes = req.bounded_stream.read(max_bytes + 1)
    if len(body) > max_bytes:
        raise PayloadTooLarge(f"the body is over {max_bytes} bytes")
    return body


def _text(value: dict[str, Any], name: str) -> str | None:
    given = value.get(name)
    return None if given is None else members.text(given, name)


def _metadata(value: dict[str, Any]) -> dict[str, Any]:
    metadata = value.get("metadata")
    if metadata is None:
        return {}
    if not isinstance(metadata, dict):
        raise InvalidParameter("metadata", "metadata is not a JSON object")
    if len(json.dumps(metadata, ensure_ascii=False).encode()) > MAX_METADATA_BYTES:
        raise InvalidParameter("metadata", f"metadata is over {MAX_METADATA_BYTES} bytes")
    return metadata
