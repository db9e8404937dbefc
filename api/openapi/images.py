"""The routes that take pictures, and those that describe them."""

from typing import Any

from api.openapi.schemas import URL
from api.openapi.words import answer, json_body, json_of, operation, parameter, ref, refs, with_head
from imagestore.imagesearch import MAX_WISH_CHARACTERS, SEARCHED_ROWS
from imagestore.names import DKEY_SCHEMA, DOMAIN_SCHEMA, SUM_SCHEMA

_IMAGE = json_of(ref("Image"))
_STORED = {
    "200": answer("It was there, or took the place of another.", _IMAGE, "ETag"),
    "201": answer("It is new.", _IMAGE, "ETag", "Location"),
}
_GONE = {"204": answer("It is gone.")}
_CONDITIONS = refs("parameters", "If-Match", "If-None-Match")

REJECTED = (
    *("payload-too-large", "unsupported-media-type", "image-invalid", "image-too-large"),
    *("image-too-many-frames", "image-too-complex", "processing-timeout", "insufficient-storage"),
)
"""Problems of received bytes."""

_BYTES = {"schema": {"type": "string", "format": "binary"}}
_METADATA = {"type": "string", "contentMediaType": "application/json", "description": "A JSON object."}
_FIELDS: dict[str, Any] = {
    "domain": {**DOMAIN_SCHEMA, "default": "default"},
    "dkey": {**DKEY_SCHEMA, "description": "By default `<sha256>.<format>`."},
    "metadata": _METADATA,
    "overwrite": {"type": "string", "enum": ["0", "1", "true", "false"], "default": "0"},
    "mode": {"type": "string", "enum": ["sync", "async"], "default": "sync"},
    "callback": {**URL, "description": "Only with mode=async."},
}


def _fields(*names: str) -> list[dict[str, Any]]:
    return [parameter(name, _FIELDS[name], "As the form's part of that name.") for name in names]


def _body(*names: str) -> dict[str, Any]:
    form = {
        "type": "object",
        "properties": {"file": _BYTES["schema"], **{name: _FIELDS[name] for name in names}},
        "required": ["file"],
        "additionalProperties": False,
    }
    return {
        "required": True,
        "description": "A form, or the raw picture with the other words as query parameters. A raw picture "
        "may also come without a type, or as what curl calls any data.",
        "content": {
            "multipart/form-data": {"schema": form},
            "application/octet-stream": _BYTES,
            "image/*": _BYTES,
        },
    }


def _upload(operation_id: str) -> dict[str, Any]:
    return operation(
        operation_id,
        "Store a picture",
        "Images",
        right="write",
        parameters=[*_fields(*_FIELDS), *refs("parameters", "Idempotency-Key")],
        body=_body(*_FIELDS),
        answers={**_STORED, "202": answer("A task will store it.", json_of(ref("Task")), "Location")},
        problems=(
            *REJECTED,
            "invalid-parameter",
            "invalid-key",
            "invalid-url",
            "key-conflict",
            "task-conflict",
        ),
    )


_PURGE = parameter(
    "purge",
    {"type": "string", "enum": ["0", "1"], "default": "0"},
    "1 removes the stored bytes at once, unless another image has them too; needs the right `admin`.",
)


def _delete(operation_id: str, parameters: list[dict[str, Any]], *problems: str) -> dict[str, Any]:
    return operation(
        operation_id,
        "Remove an image",
        "Images",
        right="write",
        parameters=[*parameters, _PURGE, *_CONDITIONS],
        answers=_GONE,
        problems=("image-not-found", "precondition-failed", *problems),
    )


# Unlike a dkey it may end in a segment of dots, which another letter would follow.
_PREFIX = {**DKEY_SCHEMA, "not": {"pattern": r"(^|/)\.{1,2}/"}}

_PAGE = operation(
    "listImages",
    "A page of images",
    "Images",
    signed=True,
    description="Within a domain ordered by dkey, else by id. A page may hold fewer images than `limit`, "
    f"even none, and have a next one: with `metadata` it reads at most {SEARCHED_ROWS:,} rows.",
    parameters=[
        *refs("parameters", "of_domain"),
        parameter("prefix", _PREFIX, "With a domain: what the dkey begins with."),
        parameter("sum", SUM_SCHEMA, "md5 or sha256 of the original."),
        parameter(
            "metadata",
            {"type": "string", "minLength": 1, "maxLength": MAX_WISH_CHARACTERS},
            "`name:value` at the top level of the caller's metadata; or a text anywhere in a name or a value "
            "of it, ASCII letters in either case. A text that holds a colon has another one before it.",
        ),
        parameter("after", DKEY_SCHEMA, "The dkey (in a domain) or the id of the last image seen."),
        *refs("parameters", "limit"),
    ],
    answers={"200": answer("The page, and where the next one is.", json_of(ref("ImagePage")))},
    problems=("invalid-parameter", "invalid-key"),
)

_INFO_ANSWERS = {
    "200": answer("All that is known of it.", _IMAGE, "ETag"),
    "304": answer("The client has it.", None, "ETag"),
}

_BY_ID = refs("parameters", "image_id")
_BY_NAME = refs("parameters", "domain", "dkey")

PATHS: dict[str, Any] = {
    "/image/info": with_head(
        operation(
            "imageInfo",
            "All that is known of an image",
            "Images",
            signed=True,
            description="Exactly one of `id`, `sum`, and `domain` with `dkey`.",
            parameters=[
                *refs("parameters", "id", "sum", "If-None-Match"),
                parameter("domain", DOMAIN_SCHEMA, "The image's domain; with dkey."),
                parameter("dkey", DKEY_SCHEMA, "The image's name in its domain."),
            ],
            answers=_INFO_ANSWERS,
            problems=("invalid-parameter", "invalid-key", "image-not-found"),
        )
    ),
    "/image/upload": {"post": _upload("uploadImage")},
    "/images": {**with_head(_PAGE), "post": _upload("createImage")},
    "/images/{image_id}": {
        **with_head(
            operation(
                "getImage",
                "All that is known of an image",
                "Images",
                signed=True,
                parameters=[*_BY_ID, *refs("parameters", "If-None-Match")],
                answers=_INFO_ANSWERS,
                problems=("invalid-parameter", "image-not-found"),
            )
        ),
        "put": operation(
            "replaceImage",
            "Other bytes for an image; id and name stay",
            "Images",
            right="write",
            parameters=[*_BY_ID, *_fields("metadata"), *_CONDITIONS],
            body=_body("metadata"),
            answers=_STORED,
            problems=(*REJECTED, "invalid-parameter", "image-not-found", "precondition-failed"),
        ),
        "patch": operation(
            "editImage",
            "Change the caller's metadata",
            "Images",
            right="write",
            parameters=[*_BY_ID, *_CONDITIONS],
            body=json_body(ref("MetadataPatch"), "application/merge-patch+json"),
            answers={"200": answer("As it is now.", _IMAGE, "ETag")},
            problems=(
                *("invalid-parameter", "image-not-found", "precondition-failed"),
                *("payload-too-large", "unsupported-media-type"),
            ),
        ),
        "delete": _delete("deleteImage", _BY_ID, "invalid-parameter"),
    },
    "/{domain}/{dkey}": {
        "put": operation(
            "putImage",
            "Create or replace the image of a name",
            "Images",
            right="write",
            parameters=[*_BY_NAME, *_fields("metadata"), *_CONDITIONS],
            body=_body("metadata"),
            answers=_STORED,
            problems=(*REJECTED, "invalid-parameter", "invalid-key", "not-found", "precondition-failed"),
        ),
        "delete": _delete("deleteNamedImage", _BY_NAME, "invalid-parameter", "invalid-key", "not-found"),
    },
}
