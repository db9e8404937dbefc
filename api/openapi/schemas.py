"""The JSON that travels, as JSON Schema (2020-12)."""

from collections.abc import Mapping
from typing import Any

from api.errors import PROBLEMS
from api.keys import MAX_LIFE_S
from api.openapi.words import ref
from imagestore.grants import MAX_DOMAINS, MAX_NAME_CHARACTERS, RIGHTS
from imagestore.names import DKEY_SCHEMA, DOMAIN_SCHEMA, ID_SCHEMA
from imagestore.records import CONTENT_TYPES
from imagestore.taskrecords import FLAGS, KINDS
from imagestore.weburl import MAX_CHARACTERS

TEXT = {"type": "string"}
COUNT = {"type": "integer", "minimum": 0}
MOMENT = {"type": "string", "format": "date-time", "examples": ["2026-11-23T19:19:13.243Z"]}
URL = {"type": "string", "format": "uri", "maxLength": MAX_CHARACTERS}
LINK = {"type": "string", "format": "uri-reference"}
METADATA = {"type": "object", "description": "The caller's own JSON, up to 64 KiB and 32 levels."}


def optional(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema, or null."""
    return {**schema, "type": [schema["type"], "null"]}


def shape(description: str, members: dict[str, Any], *optional_members: str) -> dict[str, Any]:
    """An object with these members, all required but for the named ones."""
    required = [name for name in members if name not in optional_members]
    return {"type": "object", "description": description, "properties": members, "required": required}


_IMAGE = shape(
    "A stored picture. Sides in pixels as a viewer sees it, size in bytes, times in UTC.",
    {
        "id": ID_SCHEMA,
        "rev": {"type": "integer", "minimum": 1, "description": "Grows with every change."},
        "domain": DOMAIN_SCHEMA,
        "dkey": DKEY_SCHEMA,
        "md5sum": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
        "sha256": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
        "format": {"type": "string", "enum": list(CONTENT_TYPES)},
        "content_type": {"type": "string", "enum": list(CONTENT_TYPES.values())},
        "width": {"type": "integer", "minimum": 1},
        "height": {"type": "integer", "minimum": 1},
        "size": {"type": "integer", "minimum": 1},
        "image_metadata": {
            "type": "object",
            "description": "What was read from the bytes; never a place (GPS).",
            "properties": {
                "frames": {"type": "integer", "minimum": 1},
                "orientation": {"type": "integer", "minimum": 1, "maximum": 8},
                "alpha": {"type": "boolean"},
            },
            "required": ["frames", "orientation", "alpha"],
            "additionalProperties": True,
        },
        "user_metadata": METADATA,
        "create_time": MOMENT,
        "update_time": MOMENT,
        "links": shape("Where to get it.", {"self": LINK, "original": LINK, "by_id": LINK, "by_sum": LINK}),
    },
)

_TASK = shape(
    "Something that is done later, and how it ended.",
    {
        "id": ID_SCHEMA,
        "kind": {"type": "string", "enum": list(KINDS)},
        "domain": DOMAIN_SCHEMA,
        "dkey": optional(TEXT),
        "url": optional(TEXT),
        "page_url": optional(TEXT),
        "metadata": METADATA,
        "flag": {"type": "string", "enum": list(FLAGS)},
        "flag_ext": {**optional(TEXT), "examples": ["http-404: origin answered 404 Not Found"]},
        "problem": {**optional(TEXT), "description": "The short word that `flag_ext` begins with."},
        "image_id": optional(ID_SCHEMA),
        "sha256": optional(TEXT),
        "attempts": COUNT,
        "duration_ms": optional(COUNT),
        "final_url": {**optional(TEXT), "description": "Where redirects led to."},
        "callback": {
            "oneOf": [
                {"type": "null"},
                shape(
                    "How its delivery goes.",
                    {
                        "url": TEXT,
                        "flag": {"type": "string", "enum": ["waiting", "delivered", "failed"]},
                        "attempts": COUNT,
                        "problem": optional(TEXT),
                    },
                ),
            ]
        },
        "create_time": MOMENT,
        "update_time": MOMENT,
        "end_time": optional(MOMENT),
        "next_time": optional(MOMENT),
        "links": shape("Where to ask on.", {"self": LINK, "image": LINK}, "image"),
        "progress": {"type": "object", "description": "Of a pregeneration.", "additionalProperties": True},
    },
    "progress",
)

_DOWNLOAD = {
    **shape(
        "A URL to fetch.",
        {
            "url": URL,
            "domain": DOMAIN_SCHEMA,
            "dkey": optional(DKEY_SCHEMA),
            "page_url": {**optional(TEXT), "maxLength": MAX_CHARACTERS, "description": "Where it was found."},
            "metadata": optional(METADATA),
            "callback": {**optional(URL), "description": "Gets the ended task, as Standard Webhooks say."},
            "overwrite": {"type": "boolean", "default": False},
        },
        *("domain", "dkey", "page_url", "metadata", "callback", "overwrite"),
    ),
    "additionalProperties": False,
}

_PROBLEM = shape(
    "An error (RFC 9457).",
    {
        "type": {"type": "string", "enum": [f"/problems/{name}" for name in PROBLEMS]},
        "title": TEXT,
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "detail": TEXT,
        "instance": {**TEXT, "description": "The request's id, as in X-Request-Id."},
        "parameter": {**TEXT, "description": "Of invalid-parameter: which one."},
        "reason": {**TEXT, "description": "Of fetch-failed: the short word that a task has, as http-404."},
    },
    *("instance", "parameter", "reason"),
)

_KEY_NAME = {"type": "string", "minLength": 1, "maxLength": MAX_NAME_CHARACTERS}
_RIGHT = {"type": "string", "enum": list(RIGHTS)}
_DOMAINS = {"type": ["array", "null"], "items": DOMAIN_SCHEMA, "description": "Null: all of them."}
_KEY = shape(
    "An API key, without its secret.",
    {
        "id": ID_SCHEMA,
        "name": _KEY_NAME,
        "rights": _RIGHT,
        "domains": _DOMAINS,
        "create_time": MOMENT,
        "use_time": {**optional(MOMENT), "description": "To ten minutes."},
        "expire_time": optional(MOMENT),
        "revoke_time": optional(MOMENT),
    },
)

_REASONS = {"type": "object", "additionalProperties": COUNT}

SCHEMAS: dict[str, Any] = {
    "Image": _IMAGE,
    "ImagePage": shape(
        "A page of images.", {"images": {"type": "array", "items": ref("Image")}, "next": optional(LINK)}
    ),
    "MetadataPatch": {
        **shape("A merge patch of the caller's metadata (RFC 7396).", {"user_metadata": METADATA}),
        "additionalProperties": False,
    },
    "Download": _DOWNLOAD,
    "DownloadNow": {
        **_DOWNLOAD,
        "properties": {
            **_DOWNLOAD["properties"],
            "mode": {"type": "string", "enum": ["async", "sync"], "default": "async"},
        },
    },
    "Task": _TASK,
    "TaskPage": shape(
        "A page of tasks.", {"tasks": {"type": "array", "items": ref("Task")}, "next": optional(LINK)}
    ),
    "BatchTaken": shape(
        "What became of each line of a batch.",
        {
            "tasks": {
                "type": "array",
                "items": shape("A line that is a task now.", {"line": COUNT, "id": ID_SCHEMA, "url": TEXT}),
            },
            "rejected": {
                "type": "array",
                "items": shape("A bad line.", {"line": COUNT, "problem": TEXT, "detail": TEXT}),
            },
        },
    ),
    "TaskSummary": shape(
        "How many tasks there are.",
        {
            "total": COUNT,
            "flags": shape("By flag.", dict.fromkeys(FLAGS, COUNT)),
            "problems": shape("By reason.", {"failed": _REASONS, "warning": _REASONS}),
        },
    ),
    "Key": _KEY,
    "NewKey": {
        **_KEY,
        "properties": {**_KEY["properties"], "key": TEXT},
        "required": [*_KEY["required"], "key"],
    },
    "KeyWish": {
        **shape(
            "A key to be made.",
            {
                "name": _KEY_NAME,
                "rights": _RIGHT,
                "domains": {**_DOMAINS, "minItems": 1, "maxItems": MAX_DOMAINS},
                "expires_in_s": {"type": ["integer", "null"], "minimum": 1, "maximum": MAX_LIFE_S},
            },
            *("domains", "expires_in_s"),
        ),
        "additionalProperties": False,
    },
    "Retried": shape("How many tasks start over.", {"retried": COUNT}),
    "Problem": _PROBLEM,
    "ProblemType": shape(
        "What a problem type means.",
        {"type": TEXT, "status": _PROBLEM["properties"]["status"], "title": TEXT},
    ),
}
