"""The routes for operators and their tools."""

from typing import Any

from api.openapi.schemas import LINK, TEXT, shape
from api.openapi.words import answer, json_of, operation, parameter, ref, refs, with_head

_CHECKS = shape(
    "Which of them answer.", {name: {"type": "boolean"} for name in ("database", "storage", "cache")}
)
_HEALTH = json_of(shape("How it is.", {"status": TEXT, "checks": _CHECKS}, "checks"))
_TAG = "Operations"
_KNOWN = answer("The client has it.", None, "ETag")
_CONDITION = refs("parameters", "If-None-Match")

PATHS: dict[str, Any] = {
    "/health/live": with_head(
        operation("live", "This process answers", _TAG, answers={"200": answer("It does.", _HEALTH)})
    ),
    "/health/ready": with_head(
        operation(
            "ready",
            "Database and storage answer",
            _TAG,
            answers={"200": answer("They do.", _HEALTH), "503": answer("They do not.", _HEALTH)},
        )
    ),
    "/metrics": {
        "get": operation(
            "metrics",
            "Counters for Prometheus",
            _TAG,
            description="nginx gives them to the addresses of METRICS_FROM alone.",
            answers={"200": answer("Text format.", {"text/plain": {"schema": TEXT}})},
            problems=("forbidden",),
        )
    },
    "/openapi.json": with_head(
        operation(
            "openapi",
            "This document",
            _TAG,
            parameters=_CONDITION,
            answers={"200": answer("OpenAPI 3.1.", json_of({"type": "object"}), "ETag"), "304": _KNOWN},
        )
    ),
    "/docs": with_head(
        operation(
            "docs",
            "This document to read",
            _TAG,
            parameters=_CONDITION,
            answers={"200": answer("A page.", {"text/html": {"schema": TEXT}}, "ETag"), "304": _KNOWN},
        )
    ),
    "/docs/{asset}": with_head(
        operation(
            "docsAsset",
            "What the page needs",
            _TAG,
            parameters=[parameter("asset", TEXT, "A file's name.", where="path"), *_CONDITION],
            answers={
                "200": answer(
                    "It.", {"text/css": {"schema": TEXT}, "text/javascript": {"schema": TEXT}}, "ETag"
                ),
                "304": _KNOWN,
            },
            problems=("not-found",),
        )
    ),
}

_PAGE = {"text/html": {"schema": TEXT}}
_FILES = {kind: {"schema": TEXT} for kind in ("text/css", "text/javascript", "image/svg+xml", "text/plain")}

AT_ROOT: dict[str, Any] = {
    "/": with_head(
        operation(
            "root",
            "What this is",
            _TAG,
            answers={
                "200": answer(
                    "Where to begin.",
                    json_of(
                        shape(
                            "Links.",
                            {"service": TEXT, "version": {"type": "integer"}, "images": LINK, "health": LINK},
                        )
                    ),
                )
            },
        )
    ),
    "/console": with_head(
        operation(
            "toConsole", "To the web console", _TAG, answers={"301": answer("There.", None, "Location")}
        )
    ),
    "/console/": with_head(
        operation(
            "console",
            "The web console",
            _TAG,
            parameters=_CONDITION,
            answers={"200": answer("A page.", _PAGE, "ETag"), "304": _KNOWN},
        )
    ),
    "/console/{file}": with_head(
        operation(
            "consoleFile",
            "What the console is made of",
            _TAG,
            parameters=[parameter("file", TEXT, "A file's path.", where="path"), *_CONDITION],
            answers={"200": answer("It.", _FILES, "ETag"), "304": _KNOWN},
            problems=("not-found",),
        )
    ),
    "/problems/{name}": {
        "get": operation(
            "problemType",
            "What a problem type means",
            _TAG,
            parameters=[parameter("name", TEXT, "The last part of a problem's `type`.", where="path")],
            answers={"200": answer("Its status and title.", json_of(ref("ProblemType")))},
            problems=("not-found",),
        )
    },
}
"""Routes that are not under `/v1` too."""
