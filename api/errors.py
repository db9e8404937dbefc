"""From what went wrong to an answer: the one place that knows statuses.

Every error body is `application/problem+json` (RFC 9457) with `type`, `title`, `status`, `detail`
and `instance`, the request's id.
"""

import json
import logging
import math
from typing import Any

import falcon

from imagestore.errors import (
    FetchFailed,
    ImagestoreError,
    InvalidParameter,
    InvalidRequest,
    RateLimited,
    SignatureExpired,
    SignatureInvalid,
    Unavailable,
)
from imagestore.metrics import count_problem

log = logging.getLogger(__name__)

PROBLEMS: dict[str, tuple[int, str]] = {
    "invalid-request": (400, "The request cannot be understood"),
    "invalid-parameter": (400, "A parameter is not valid"),
    "invalid-key": (400, "The domain or the dkey is not valid"),
    "invalid-url": (400, "The URL is not valid"),
    "unauthenticated": (401, "An API key is needed"),
    "forbidden": (403, "This is not allowed"),
    "signature-invalid": (403, "The URL is not signed, or not rightly"),
    "signature-expired": (403, "The URL's time is over"),
    "fetch-target-forbidden": (403, "The URL leads where this server may not go"),
    "not-found": (404, "Nothing is there"),
    "image-not-found": (404, "There is no such image"),
    "task-not-found": (404, "There is no such task"),
    "method-not-allowed": (405, "The method is not allowed here"),
    "request-timeout": (408, "The request took too long to arrive"),
    "key-conflict": (409, "The name holds another picture"),
    "task-conflict": (409, "The task is in another state"),
    "precondition-failed": (412, "A precondition does not hold"),
    "payload-too-large": (413, "The body is too large"),
    "uri-too-long": (414, "The request line is too long"),
    "unsupported-media-type": (415, "The body is not of an accepted type"),
    "range-not-satisfiable": (416, "The range is outside the picture"),
    "image-invalid": (422, "The picture cannot be decoded whole"),
    "image-too-large": (422, "The picture has too many pixels"),
    "image-too-many-frames": (422, "The picture has too many frames"),
    "image-too-complex": (422, "The picture takes too long or too much memory to decode"),
    "fetch-failed": (422, "The URL could not be fetched"),
    "headers-too-large": (431, "The request headers are too large"),
    "rate-limited": (429, "Too many requests come from there"),
    "internal-error": (500, "Something is wrong with this server"),
    "overloaded": (503, "The server has too much to do"),
    "database-unavailable": (503, "The database does not answer"),
    "storage-unavailable": (503, "The storage does not answer"),
    "queue-unavailable": (503, "The queue does not answer"),
    "processing-timeout": (504, "The picture took too long to make"),
    "insufficient-storage": (507, "There is no room left"),
}
"""Every problem that can be answered: name -> status and title."""

REFUSALS = frozenset(["unauthenticated", "forbidden", "rate-limited", "insufficient-storage"])
"""Problems that somebody may ask the operator about: each is a line in the log, as each refused write is."""

READS = ("GET", "HEAD", "OPTIONS")

RETRY_AFTER_S = 1
"""Seconds after which a client may try again what was not available."""

_BY_STATUS = {400: "invalid-request", 404: "not-found", 405: "method-not-allowed", 413: "payload-too-large"}
_BY_STATUS |= {408: "request-timeout", 415: "unsupported-media-type", 416: "range-not-satisfiable"}


_DETAILS = {
    "not-found": "there is no such route",
    "method-not-allowed": "the method is not one of those in Allow",
}
"""What nginx says of the same, where Falcon says nothing."""


def install(app: falcon.App[falcon.Request, falcon.Response]) -> None:
    """Let every error of this app end as a problem."""
    app.add_error_handler(Exception, _on_bug)
    app.add_error_handler(falcon.HTTPError, _on_http_error)
    app.add_error_handler(ImagestoreError, _on_imagestore_error)


def send_problem(req: falcon.Request, resp: falcon.Response, name: str, detail: str, **members: str) -> None:
    """Make `resp` the answer for the problem of that name."""
    count_problem(name)
    status, title = PROBLEMS[name]
    resp.status = status
    resp.content_type = "application/problem+json"
    resp.set_header("Cache-Control", "no-store")
    problem: dict[str, Any] = {
        "type": f"/problems/{name}",
        "title": title,
        "status": status,
        "detail": detail,
        "instance": req.context.request_id,
        **members,
    }
    # What was meant for the picture that there is not.
    for header in ("ETag", "Content-Disposition", "Vary"):
        resp.delete_header(header)
    resp.stream = None
    resp.text = json.dumps(problem)
    if status == 401:
        resp.set_header("WWW-Authenticate", 'Bearer realm="image store"')
    if status == 503:
        resp.set_header("Retry-After", str(RETRY_AFTER_S))
        # For nginx, which keeps it to itself: others wait there for the same (nginx/lua/line.lua).
        resp.set_header("X-Problem", name)


def _on_imagestore_error(
    req: falcon.Request, resp: falcon.Response, error: ImagestoreError, params: dict[str, Any]
) -> None:
    members = {}
    if isinstance(error, InvalidParameter):
        members["parameter"] = error.parameter
    if isinstance(error, FetchFailed):
        members["reason"] = error.reason
    if isinstance(error, Unavailable):
        log.warning("not possible now problem=%s path=%s detail=%s", error.name, req.path, error.detail)
    elif error.name in REFUSALS or req.method not in READS:
        line = "refused problem=%s method=%s path=%s detail=%s"
        log.info(line, error.name, req.method, req.path, error.detail)
    send_problem(req, resp, error.name, error.detail, **members)
    if isinstance(error, (SignatureInvalid, SignatureExpired)):
        # nginx answers in its own words: two answers that differ would tell what is in a cache, and so there.
        resp.set_header("X-Accel-Redirect", f"/_problem/{error.name}")
    if isinstance(error, RateLimited):
        resp.set_header("Retry-After", str(math.ceil(error.retry_after_s)))


def _on_http_error(
    req: falcon.Request, resp: falcon.Response, error: falcon.HTTPError, params: dict[str, Any]
) -> None:
    """Falcon's own errors: no such route, method not allowed, broken multipart."""
    name = _BY_STATUS.get(error.status_code, "invalid-request")
    if req.method not in READS:
        line = "refused problem=%s method=%s path=%s detail=%s"
        log.info(line, name, req.method, req.path, error.description or error.title)
    if error.headers:
        resp.set_headers(error.headers)
    send_problem(req, resp, name, error.description or _DETAILS.get(name, PROBLEMS[name][1]))


def _on_bug(req: falcon.Request, resp: falcon.Response, error: Exception, params: dict[str, Any]) -> None:
    if isinstance(error, falcon.HTTPStatus):
        raise error
    log.exception("a bug method=%s path=%s", req.method, req.path)
    send_problem(req, resp, "internal-error", "an unexpected error; the log has it under this request id")


def unknown_parameter(name: str, expected: str) -> InvalidRequest:
    """The error for a query parameter that a route does not know."""
    return InvalidRequest(f"parameter {name!r} is unknown here, expected {expected}")
