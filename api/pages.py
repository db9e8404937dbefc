"""Pages for people, and the files that they are made of: what every answer with one has in common."""

import hashlib

import falcon

from api.responses import not_modified


def policy(*directives: str) -> str:
    """The Content-Security-Policy of a page: only what `directives` allow, and nobody may frame it."""
    ends = ("base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'")
    return "; ".join(["default-src 'none'", *directives, *ends])


def send_page(req: falcon.Request, resp: falcon.Response, body: bytes, content_policy: str) -> None:
    """A page of HTML, under a policy of its own."""
    resp.set_header("Content-Security-Policy", content_policy)
    resp.set_header("Referrer-Policy", "no-referrer")
    send_file(req, resp, "text/html; charset=utf-8", body)


def send_file(req: falcon.Request, resp: falcon.Response, content_type: str, body: bytes) -> None:
    """A file that browsers keep, and ask about each time: its ETag is its hash."""
    resp.set_header("Cache-Control", "no-cache")
    resp.set_header("X-Content-Type-Options", "nosniff")
    if not_modified(req, resp, f'"{hashlib.sha256(body).hexdigest()[:32]}"'):
        return
    resp.content_type = content_type
    resp.data = body
