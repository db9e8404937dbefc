"""The OpenAPI document as it is served, and the page that shows it."""

import re

import httpx
import pytest

from api.openapi import document
from tests.imagestack import ImageStack


@pytest.mark.parametrize("prefix", ["", "/v1"])
def test_the_document_is_served(shared_stack: ImageStack, prefix: str) -> None:
    answer = shared_stack.http.get(f"{prefix}/openapi.json")

    assert answer.json() == document()
    known = {"If-None-Match": answer.headers["ETag"]}
    assert shared_stack.http.get(f"{prefix}/openapi.json", headers=known).status_code == 304


@pytest.mark.parametrize("prefix", ["", "/v1"])
def test_the_page_asks_nobody_else(shared_stack: ImageStack, prefix: str) -> None:
    page = shared_stack.http.get(f"{prefix}/docs")

    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "script-src 'self';" in page.headers["Content-Security-Policy"]
    links = re.findall(r'(?:src|href)="([^"]*)"', page.text)
    assert [link for link in links if "//" in link] == []
    for link in links:
        if not link.startswith("data:"):
            asset = shared_stack.http.get(httpx.URL(f"{prefix}/docs").join(link))
            assert (asset.status_code, asset.headers["X-Content-Type-Options"]) == (200, "nosniff")


def test_other_files_of_the_package_are_not_served(shared_stack: ImageStack) -> None:
    for name in ("index.html", "..%2fflask_swagger_ui.py", "%2e%2e/x", "VERSION"):
        assert shared_stack.http.get(f"/docs/{name}").status_code in (400, 404)
