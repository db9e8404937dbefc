"""The routes that give pictures."""

from typing import Any

from api.openapi.words import answer, operation, parameter, refs, with_head
from imagestore.records import CONTENT_TYPES
from imagestore.rendition import ALIASES, PARAMETERS

PICTURE = {
    media_type: {"schema": {"type": "string", "format": "binary"}} for media_type in CONTENT_TYPES.values()
}

_ANSWERS = {
    "200": answer("The picture.", PICTURE, "ETag", "X-Request-Id"),
    "206": answer(
        "A part of an original, or several.",
        {**PICTURE, "multipart/byteranges": {"schema": {"type": "string", "format": "binary"}}},
        "ETag",
        "Content-Range",
    ),
    "304": answer("The client has it.", None, "ETag"),
}
_CONDITIONS = refs("parameters", "download", "If-Match", "If-None-Match", "Range")
_PROBLEMS = (
    *("invalid-parameter", "invalid-key", "image-not-found", "precondition-failed"),
    "range-not-satisfiable",
)


def _rendition() -> list[dict[str, Any]]:
    own = [parameter(name, each.grammar.schema, each.means) for name, each in PARAMETERS.items()]
    short = [
        {
            **parameter(alias, PARAMETERS[name].grammar.schema, f"Short for `{name}`."),
            "x-short-for": name,
        }
        for alias, name in ALIASES.items()
    ]
    preset = parameter(
        "preset",
        {"type": "string", "pattern": "^[a-z0-9][a-z0-9_-]{0,31}$"},
        "A name of the setting PRESETS; stands for its parameters, others may be added.",
    )
    return [*own, *short, preset]


PATHS: dict[str, Any] = {
    "/image/read": with_head(
        operation(
            "readImage",
            "A picture, by id or sum",
            "Pictures",
            signed=True,
            description="Exactly one of `id` and `sum`. Without more it is the original, byte for byte; "
            "with any parameter of a rendition it is one.",
            parameters=[*refs("parameters", "id", "sum"), *_rendition(), *_CONDITIONS],
            answers=_ANSWERS,
            problems=(*_PROBLEMS, "forbidden", "image-invalid", "image-too-complex", "processing-timeout"),
        )
    ),
    "/{domain}/{dkey}": with_head(
        operation(
            "readOriginal",
            "The original under a name",
            "Pictures",
            signed=True,
            parameters=[*refs("parameters", "domain", "dkey"), *_CONDITIONS],
            answers=_ANSWERS,
            problems=(*_PROBLEMS, "not-found"),
        )
    ),
}
