"""The route of upload tokens."""

from typing import Any

from api.openapi.schemas import COUNT, MOMENT, TEXT, optional, shape
from api.openapi.words import answer, json_body, json_of, operation
from imagestore.names import DKEY_SCHEMA, DOMAIN_SCHEMA, ID_SCHEMA
from imagestore.permits import DEFAULT_LIFE_S, FORMATS, MAX_LIFE_S

_TYPES = {"type": "array", "minItems": 1, "items": {"type": "string", "enum": list(FORMATS)}}
_WISH = {
    **shape(
        "Leave to upload one picture.",
        {
            "domain": DOMAIN_SCHEMA,
            "dkey": {**DKEY_SCHEMA, "description": "By default `<sha256>.<format>`."},
            "overwrite": {"type": "boolean", "default": False},
            "max_bytes": {"type": "integer", "minimum": 1, "description": "By default the server's limit."},
            "content_types": {**_TYPES, "description": "By default all that are accepted."},
            "expires_in_s": {
                "type": "integer",
                "minimum": 1,
                "maximum": MAX_LIFE_S,
                "default": DEFAULT_LIFE_S,
            },
        },
        *("dkey", "overwrite", "max_bytes", "content_types", "expires_in_s"),
    ),
    "additionalProperties": False,
}
_TOKEN = shape(
    "An upload token; the token itself is shown this once.",
    {
        "id": ID_SCHEMA,
        "token": TEXT,
        "domain": DOMAIN_SCHEMA,
        "dkey": optional(TEXT),
        "overwrite": {"type": "boolean"},
        "max_bytes": optional(COUNT),
        "content_types": {**_TYPES, "type": ["array", "null"]},
        "expire_time": MOMENT,
    },
)

PATHS: dict[str, Any] = {
    "/upload-tokens": {
        "post": operation(
            "createUploadToken",
            "Let somebody without a key upload one picture",
            "Access",
            description="The token is sent to `POST /image/upload` in the place of a key, once.",
            right="write",
            body=json_body(_WISH, "application/merge-patch+json"),
            answers={"201": answer("It can be used at once.", json_of(_TOKEN))},
            problems=("invalid-parameter", "invalid-key", "payload-too-large", "unsupported-media-type"),
        )
    }
}
