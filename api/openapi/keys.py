"""The routes of API keys."""

from typing import Any

from api.openapi.words import answer, json_body, json_of, operation, ref, refs, with_head

_LIST = {"type": "array", "items": ref("Key")}
_PAGE = {"type": "object", "properties": {"keys": _LIST}, "required": ["keys"]}

PATHS: dict[str, Any] = {
    "/keys": {
        **with_head(
            operation(
                "listKeys",
                "All keys that were ever made",
                "Access",
                right="admin",
                answers={"200": answer("Without their secrets.", json_of(_PAGE))},
            )
        ),
        "post": operation(
            "createKey",
            "Make a key",
            "Access",
            right="admin",
            body=json_body(ref("KeyWish"), "application/merge-patch+json"),
            answers={"201": answer("With its secret, this once.", json_of(ref("NewKey")), "Location")},
            problems=("invalid-parameter", "invalid-key", "payload-too-large", "unsupported-media-type"),
        ),
    },
    "/keys/{key_id}": {
        "delete": operation(
            "revokeKey",
            "Revoke a key",
            "Access",
            right="admin",
            parameters=refs("parameters", "key_id"),
            answers={"204": answer("It is refused from now on.")},
            problems=("invalid-parameter", "not-found"),
        )
    },
}
