"""The OpenAPI 3.1 document of this API, as data beside the code.

A new route is one more entry in one of the modules here. Tests fail while a route of the application is
missing, and check every answer of the other tests against the document.
"""

from functools import cache
from typing import Any

from api.openapi import accounts, images, keys, operations, overview, reads, signedurls, tasks, tokens
from api.openapi.components import COMPONENTS

_PARTS = (
    *(reads.PATHS, images.PATHS, tasks.PATHS, keys.PATHS, accounts.PATHS),
    *(tokens.PATHS, signedurls.PATHS, overview.PATHS, operations.PATHS),
)

_TAGS = {
    "Pictures": "Originals and renditions.",
    "Images": "What is stored: upload, describe, replace, remove.",
    "Tasks": "URLs to fetch, and what became of them.",
    "Access": "API keys, quotas, the audit log.",
    "Operations": "Health, measurements, this document.",
}


@cache
def document() -> dict[str, Any]:
    """The whole document; every path is understood with and without the prefix `/v1`."""
    paths: dict[str, Any] = {}
    for part in _PARTS:
        for path, methods in part.items():
            paths[path] = {**paths.get(path, {}), **methods}
    for path, methods in operations.AT_ROOT.items():
        paths[path] = {**methods, "servers": [{"url": "/"}]}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Image store",
            "version": "1",
            "summary": "Originals, thumbnails and watermarked pictures by id, hash or name.",
            "description": "Reads are public, writes need an API key. Every error is a problem (RFC 9457).",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/v1"}, {"url": "/"}],
        "tags": [{"name": name, "description": text} for name, text in _TAGS.items()],
        "paths": paths,
        "components": COMPONENTS,
    }
