"""The route of numbers at a glance."""

from typing import Any

from api.openapi.schemas import COUNT, optional, shape
from api.openapi.words import answer, json_of, operation, with_head
from imagestore.taskrecords import FLAGS

_COUNTS = {"type": "object", "additionalProperties": COUNT}
_SERVER = " Null for a key of some domains"
_QUEUES = shape(
    f"Jobs by queue, workers, and seconds that the oldest job waits.{_SERVER}.",
    {
        "downloads": COUNT,
        "pictures": COUNT,
        "callbacks": COUNT,
        "workers": COUNT,
        "oldest_s": {"type": "number", "minimum": 0},
    },
)
_CACHE = shape(
    f"Redis; a bound of 0 is none.{_SERVER}.",
    {"keys": COUNT, "used_bytes": COUNT, "bound_bytes": COUNT, "evicted": COUNT},
)
_STORE = shape(
    f"Where originals are.{_SERVER}, and for a bucket.", {"free_bytes": COUNT, "size_bytes": COUNT}
)
_SINCE = f"since the server's start.{_SERVER}"
_OVERVIEW = shape(
    "Numbers of the key's domains, and of the whole server.",
    {
        "images": COUNT,
        "bytes": {**COUNT, "description": "Of all originals, each image counted."},
        "domains": COUNT,
        "tasks": shape("Tasks by flag.", {str(flag): COUNT for flag in FLAGS}),
        "reasons": shape("Ended tasks by reason.", {"failed": _COUNTS, "warning": _COUNTS}),
        "queues": optional(_QUEUES),
        "cache": optional(_CACHE),
        "store": optional(_STORE),
        "nginx": {
            **optional(_COUNTS),
            "description": f"Pictures that nginx gave, by X-Cache, {_SINCE}, and without nginx.",
        },
        "pictures": {
            **optional(_COUNTS),
            "description": f"Renditions that the API gave, from the cache or rendered, {_SINCE}.",
        },
        "problems": {**optional(_COUNTS), "description": f"Answers that are problems, by type, {_SINCE}."},
    },
)

PATHS: dict[str, Any] = {
    "/overview": with_head(
        operation(
            "overview",
            "How much there is, and how it goes",
            "Operations",
            description="Cheap enough to be asked every few seconds. Counts of tasks may be seconds old.",
            right="read",
            answers={"200": answer("It at a glance.", json_of(_OVERVIEW))},
        )
    )
}
