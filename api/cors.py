"""Pages of other origins may upload with a token, if the operator names them (Fetch standard §3.2)."""

from collections.abc import Collection

import falcon

ROUTES = frozenset(["/image/upload", "/v1/image/upload"])

MAX_AGE_S = 600
"""How long a browser may remember the answer to its preflight."""


class Cors:
    """Middleware: the headers that a browser looks for, on answers of the upload route alone.

    `origins` as browsers write them (`https://example.org`); `*` is all of them. A token is no cookie,
    so that no page can use what it was not given.
    """

    def __init__(self, origins: Collection[str]) -> None:
        self._origins = frozenset(origins)

    def process_response(
        self, req: falcon.Request, resp: falcon.Response, resource: object, req_succeeded: bool
    ) -> None:
        origin = req.get_header("Origin")
        if not (self._origins and origin and req.uri_template in ROUTES):
            return
        resp.append_header("Vary", "Origin")
        if not self._origins & {origin, "*"}:
            return
        resp.set_header("Access-Control-Allow-Origin", origin)
        resp.set_header("Access-Control-Expose-Headers", "Location, Retry-After, X-Request-Id")
        if req.method == "OPTIONS":
            resp.set_header("Access-Control-Allow-Methods", "POST")
            resp.set_header("Access-Control-Allow-Headers", "Authorization, Content-Type")
            resp.set_header("Access-Control-Max-Age", str(MAX_AGE_S))
