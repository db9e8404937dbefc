"""`/console/`: the store's pages for people, from the files in `static/` as they are: nothing is built.

The page asks the public routes for all that it shows, with the key that its user gives it, so that
it can do nothing that a program could not. docs/console.md says how a page is added.
"""

import base64
import hashlib
import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable

import falcon

from api.pages import policy, send_file, send_page
from imagestore.errors import NotFound

PAGE = "index.html"

CONTENT_TYPES: Mapping[str, str] = {
    "css": "text/css; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "mjs": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
    "txt": "text/plain; charset=utf-8",
}
"""Of the files in `static/`, by how their names end; others are not served."""

_IMPORT_MAP = re.compile(rb'<script type="importmap">(.*?)</script>', re.DOTALL)


class ToConsole:
    """`/console`: where people arrive who leave the last stroke away."""

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        # As a reference without a host, so that it is right behind any proxy (RFC 9110 §10.2.2).
        resp.status = 301
        resp.set_header("Location", "console/")

    on_head = on_get


class Console:
    """`/console/`: the page."""

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        page = shipped()[PAGE]
        send_page(req, resp, page, content_policy(page))

    on_head = on_get


class ConsoleFile:
    """`/console/{file}`: a script, a style, a licence."""

    def on_get(self, req: falcon.Request, resp: falcon.Response, file: str) -> None:
        body = shipped().get(file)
        if body is None or file == PAGE:
            raise NotFound("there is no such route")
        send_file(req, resp, CONTENT_TYPES[file.rpartition(".")[2]], body)

    on_head = on_get


@cache
def content_policy(page: bytes) -> str:
    """What the page may load: files of this origin, and its own import map, named by its hash.

    Pico has its icons as data: URLs; a picture that was asked for with a key is shown as a blob: URL.
    """
    maps = [base64.b64encode(hashlib.sha256(text).digest()).decode() for text in _IMPORT_MAP.findall(page)]
    return policy(
        " ".join(["script-src 'self'", *(f"'sha256-{each}'" for each in maps)]),
        "style-src 'self'",
        "img-src 'self' data: blob:",
        "connect-src 'self'",
    )


@cache
def shipped() -> Mapping[str, bytes]:
    """Every file that is served, by its path below `static/`. A client's path is only looked up here."""
    return dict(_walk(files(__name__) / "static", ""))


def _walk(folder: Traversable, path: str) -> list[tuple[str, bytes]]:
    found = []
    for entry in folder.iterdir():
        if entry.is_dir():
            found += _walk(entry, f"{path}{entry.name}/")
        elif entry.name.rpartition(".")[2] in CONTENT_TYPES:
            found.append((path + entry.name, entry.read_bytes()))
    return found
