"""The parts that several routes share: parameters and headers, and with them all components."""

from typing import Any

from api.openapi.schemas import LINK, SCHEMAS, TEXT
from api.openapi.words import parameter, problem_examples
from api.paging import PAGE_DEFAULT, PAGE_MAX
from imagestore.names import DKEY_SCHEMA, DOMAIN_SCHEMA, ID_SCHEMA, SUM_SCHEMA

_ETAGS = {"type": "string", "examples": ['"0123456789abcdef0123456789abcdef"', "*"]}

PARAMETERS: dict[str, Any] = {
    "image_id": parameter("image_id", ID_SCHEMA, "The image's number.", where="path"),
    "task_id": parameter("task_id", ID_SCHEMA, "The task's number.", where="path"),
    "key_id": parameter("key_id", ID_SCHEMA, "The key's number.", where="path"),
    "domain": parameter("domain", DOMAIN_SCHEMA, "The picture's domain.", where="path"),
    "dkey": parameter(
        "dkey",
        DKEY_SCHEMA,
        "The picture's name in its domain; it may hold `/`, and `a/b` and `a%2Fb` are one name.",
        where="path",
    ),
    "id": parameter("id", ID_SCHEMA, "The image's number."),
    "sum": parameter(
        "sum", SUM_SCHEMA, "md5 or sha256 of the original; the image that has held it longest answers."
    ),
    "of_domain": parameter("domain", DOMAIN_SCHEMA, "Only of this domain."),
    "limit": parameter(
        "limit",
        {"type": "integer", "minimum": 1, "maximum": PAGE_MAX, "default": PAGE_DEFAULT},
        "How many a page shall have.",
    ),
    "download": parameter(
        "download",
        {"type": "string", "minLength": 1, "maxLength": 255},
        "Adds `Content-Disposition: attachment` with this file name.",
    ),
    "expires": parameter(
        "expires",
        {"type": "string", "pattern": r"^[1-9][0-9]{0,11}$"},
        "Of a signed URL: the second since 1970 from which on it is refused.",
    ),
    "kid": parameter(
        "kid", {"type": "string", "pattern": r"^[A-Za-z0-9_-]{1,32}$"}, "Of a signed URL: the key's id."
    ),
    "sig": parameter(
        "sig", {"type": "string", "pattern": r"^[A-Za-z0-9_-]{32}$"}, "The signature (docs/signing.md)."
    ),
    "If-Match": parameter("If-Match", _ETAGS, "Only if the picture has this ETag.", where="header"),
    "If-None-Match": parameter(
        "If-None-Match",
        _ETAGS,
        "Reads: 304 if the ETag is this; `*` in a write: only if new.",
        where="header",
    ),
    "Range": parameter(
        "Range", {"type": "string", "examples": ["bytes=0-1023"]}, "Of an original.", where="header"
    ),
    "Idempotency-Key": parameter(
        "Idempotency-Key",
        {"type": "string", "pattern": r"^[\x21-\x7e]{1,255}$"},
        "The same request with the same key makes no second task.",
        where="header",
    ),
}

HEADERS: dict[str, Any] = {
    "ETag": {"description": "Strong entity tag.", "schema": {"type": "string", "pattern": '^"[^"]+"$'}},
    "Location": {"description": "Where it is.", "schema": LINK},
    "X-Request-Id": {"description": "The request's id, also in the logs.", "schema": TEXT},
    "Retry-After": {"description": "Seconds.", "schema": {"type": "integer", "minimum": 0}},
    "WWW-Authenticate": {"schema": TEXT},
    "Allow": {"schema": TEXT},
    "Content-Range": {"schema": TEXT},
}

COMPONENTS: dict[str, Any] = {
    "schemas": SCHEMAS,
    "parameters": PARAMETERS,
    "headers": HEADERS,
    "examples": problem_examples(),
    "securitySchemes": {
        "apiKey": {
            "type": "http",
            "scheme": "bearer",
            "description": "An API key, sent as `Authorization: Bearer <key>`. Its right is read, write or "
            "admin, each with those before it; it may be limited to domains.",
        }
    },
}
