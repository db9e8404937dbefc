"""The console's page and its files as they are served; tests/console/ has what they do in a browser."""

import hashlib
import json
import re

import httpx
import pytest

from dev.vendor_console import COPIED, LOCK, NOTE, TARGET
from tests.imagestack import ImageStack


def test_the_page_is_served_under_a_policy_of_its_own(shared_stack: ImageStack) -> None:
    page = shared_stack.http.get("/console/")

    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    rules = dict(rule.split(" ", 1) for rule in page.headers["Content-Security-Policy"].split("; "))
    assert (rules["default-src"], rules["style-src"], rules["frame-ancestors"]) == (
        "'none'",
        "'self'",
        "'none'",
    )
    assert "unsafe" not in page.headers["Content-Security-Policy"]
    known = {"If-None-Match": page.headers["ETag"]}
    assert shared_stack.http.get("/console/", headers=known).status_code == 304


def test_who_forgets_the_stroke_is_sent_on(shared_stack: ImageStack) -> None:
    answer = shared_stack.http.get("/console")

    assert (answer.status_code, answer.headers["Location"]) == (301, "console/")


def test_every_file_that_the_page_names_is_there(shared_stack: ImageStack) -> None:
    """Modules name each other; nothing leads to another site, and nothing is missing."""
    types = {"js": "text/javascript", "mjs": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}
    todo, seen = {"/console/"}, set[str]()

    while todo:
        path = todo.pop()
        answer = shared_stack.http.get(path)
        assert answer.status_code == 200, path
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        kind = path.rpartition(".")[2]
        assert path == "/console/" or answer.headers["Content-Type"].startswith(types[kind])
        seen.add(path)
        if "/vendor/" not in path and kind != "svg":
            named = re.findall(
                r'(?:src|href|from|":)[ =]*"(\.?\.?/?[\w./-]+\.(?:js|mjs|css|svg))"', answer.text
            )
            todo |= {str(httpx.URL(path).join(each)) for each in named} - seen

    assert {"/console/app.js", "/console/vendor/preact.mjs", "/console/pages/gallery.js"} <= seen


@pytest.mark.parametrize(
    "file",
    ["index.html", "none.js", "../__init__.py", "%2e%2e/__init__.py", "..%2f__init__.py", "vendor/", ""],
)
def test_nothing_else_is_served(shared_stack: ImageStack, file: str) -> None:
    url = httpx.URL(f"{shared_stack.address}/console/x").copy_with(raw_path=f"/console//{file}".encode())

    assert shared_stack.http.get(url).status_code in (400, 404)


def test_the_shipped_libraries_are_those_of_the_lock() -> None:
    note = json.loads(NOTE.read_text())
    locked = json.loads(LOCK.read_text())["packages"]
    shipped = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in TARGET.iterdir()}

    assert note.keys() == COPIED.keys()
    for package, told in note.items():
        pinned = locked[f"node_modules/{package}"]
        assert (told["version"], told["integrity"]) == (pinned["version"], pinned["integrity"])
    assert shipped == {name: sha for told in note.values() for name, sha in told["sha256"].items()}
    assert sum(name.endswith(".LICENSE.txt") for name in shipped) == len(note)
