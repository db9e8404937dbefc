"""The routes about what domains hold, and about who changed what."""

from typing import Any

from api.openapi.schemas import COUNT, LINK, MOMENT, TEXT, optional, shape
from api.openapi.words import answer, json_of, operation, parameter, refs, with_head
from imagestore.names import DOMAIN_SCHEMA, ID_SCHEMA

_LIMIT = {**optional(COUNT), "description": "Null: none."}
_SUM = optional({"type": "string", "pattern": "^[0-9a-f]{64}$"})
_DOMAIN = shape(
    "A domain. `bytes` counts each image's original.",
    {"domain": DOMAIN_SCHEMA, "images": COUNT, "bytes": COUNT, "max_images": _LIMIT, "max_bytes": _LIMIT},
)
_ENTRY = shape(
    "A change, with the bytes before and after it.",
    {
        "id": ID_SCHEMA,
        "time": MOMENT,
        "action": {**TEXT, "enum": ["create", "replace", "edit", "delete", "key-add", "key-revoke", "quota"]},
        "key_id": optional(TEXT),
        "request_id": optional(TEXT),
        "address": optional(TEXT),
        "domain": optional(DOMAIN_SCHEMA),
        "image_id": optional(ID_SCHEMA),
        "dkey": optional(TEXT),
        "sha256_old": _SUM,
        "sha256_new": _SUM,
        "detail": optional(TEXT),
    },
)


def _page(name: str, item: dict[str, Any]) -> dict[str, Any]:
    return shape("A page.", {name: {"type": "array", "items": item}, "next": optional(LINK)})


PATHS: dict[str, Any] = {
    "/domains": with_head(
        operation(
            "listDomains",
            "What domains hold and may hold",
            "Access",
            right="read",
            parameters=[
                *refs("parameters", "of_domain"),
                parameter("after", DOMAIN_SCHEMA, "The last domain seen."),
                *refs("parameters", "limit"),
            ],
            answers={"200": answer("The page.", json_of(_page("domains", _DOMAIN)))},
            problems=("invalid-parameter", "invalid-key"),
        )
    ),
    "/audit": with_head(
        operation(
            "listAudit",
            "Who changed what, the newest first",
            "Access",
            right="admin",
            parameters=[
                *refs("parameters", "of_domain"),
                parameter("image_id", ID_SCHEMA, "Of this image only."),
                parameter("key_id", TEXT, "By this key only."),
                parameter("before", ID_SCHEMA, "The id of the last entry seen."),
                *refs("parameters", "limit"),
            ],
            answers={"200": answer("The page.", json_of(_page("entries", _ENTRY)))},
            problems=("invalid-parameter", "invalid-key"),
        )
    ),
}
