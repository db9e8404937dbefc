"""`/openapi.json`, and `/docs`: the same as a page to read, which needs nothing from other sites."""

import importlib.metadata
import importlib.util
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import falcon

from api.openapi import document
from api.pages import policy, send_file, send_page
from imagestore.errors import NotFound

POLICY = policy(
    "script-src 'self'",
    "style-src 'self' 'unsafe-inline'",
    "img-src 'self' data: blob:",
    "connect-src 'self'",
)
"""Of the page alone. Its scripts are ours: no stored picture is ever sent as a script (nosniff).

Swagger UI writes `style` attributes, shows icons as data: URLs, and answers with pictures as blob:.
"""

PACKAGE = "flask_swagger_ui"
"""The package whose `dist` folder is Swagger UI as its makers release it (Apache-2.0); its Flask part is
not imported."""

_SHIPPED: Mapping[str, str] = {
    "swagger-ui.css": "text/css",
    "swagger-ui-bundle.js": "text/javascript",
}
_START = """\
SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#docs",
  deepLinking: true,
  // Otherwise the page would ask a server of its makers about each document.
  validatorUrl: null,
});
"""
_PAGE = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Image store: API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="docs/swagger-ui.css">
<div id="docs">The description of this API is at <a href="openapi.json">openapi.json</a>.</div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
"""


class OpenApi:
    """`/openapi.json`: what `api/openapi` says."""

    def __init__(self) -> None:
        self._body = json.dumps(document(), ensure_ascii=False).encode()

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        send_file(req, resp, "application/json", self._body)

    on_head = on_get


class Docs:
    """`/docs`: the page."""

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        send_page(req, resp, _PAGE.encode(), POLICY)

    on_head = on_get


class DocsAsset:
    """`/docs/{asset}`: its script and its style."""

    def on_get(self, req: falcon.Request, resp: falcon.Response, asset: str) -> None:
        if asset == "start.js":
            send_file(req, resp, "text/javascript; charset=utf-8", _START.encode())
        elif asset in _SHIPPED:
            send_file(req, resp, f"{_SHIPPED[asset]}; charset=utf-8", _shipped(asset))
        else:
            raise NotFound("there is no such route")

    on_head = on_get


@cache
def _shipped(name: str) -> bytes:
    # Asking where a package is does not run it.
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise importlib.metadata.PackageNotFoundError(PACKAGE)
    return (Path(spec.origin).parent / "dist" / name).read_bytes()
