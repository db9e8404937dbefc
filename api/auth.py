"""Who may ask for what: API keys as Bearer tokens (RFC 6750 §2.1), checked before any handler runs."""

import dataclasses
from collections.abc import Mapping

import falcon

from imagestore.actor import act_as, actor
from imagestore.errors import Unauthenticated
from imagestore.grants import Grant, Right
from imagestore.keyring import Keyring
from imagestore.permits import UPLOAD_TOKEN_PREFIX

PUBLIC = None

NEEDED: Mapping[str, Mapping[str, Right | None]] = {
    "/": {"GET": PUBLIC},
    "/problems/{name}": {"GET": PUBLIC},
    "/openapi.json": {"GET": PUBLIC},
    "/docs": {"GET": PUBLIC},
    "/docs/{asset}": {"GET": PUBLIC},
    # The page asks for a key, and sends it with what it asks for itself.
    "/console": {"GET": PUBLIC},
    "/console/": {"GET": PUBLIC},
    "/console/{file:path}": {"GET": PUBLIC},
    "/health/live": {"GET": PUBLIC},
    "/health/ready": {"GET": PUBLIC},
    # nginx gives it to the addresses of METRICS_FROM alone.
    "/metrics": {"GET": PUBLIC},
    "/image/read": {"GET": PUBLIC},
    "/image/info": {"GET": PUBLIC},
    "/image/upload": {"POST": "write"},
    "/image/download": {"POST": "write"},
    "/images": {"GET": PUBLIC, "POST": "write"},
    "/images/pregenerate": {"POST": "write"},
    "/images/{image_id}": {"GET": PUBLIC, "PUT": "write", "PATCH": "write", "DELETE": "write"},
    "/audit": {"GET": "admin"},
    "/domains": {"GET": "read"},
    "/keys": {"GET": "admin", "POST": "admin"},
    "/keys/{key_id}": {"DELETE": "admin"},
    "/overview": {"GET": "read"},
    "/signed-urls": {"POST": "read"},
    "/tasks": {"GET": "read", "POST": "write"},
    "/tasks/summary": {"GET": "read"},
    "/tasks/retry": {"POST": "write"},
    "/tasks/{task_id}": {"GET": "read", "DELETE": "write"},
    "/tasks/{task_id}/retry": {"POST": "write"},
    "/upload-tokens": {"POST": "write"},
    "/{domain}/{dkey:path}": {"GET": PUBLIC, "PUT": "write", "DELETE": "write"},
}
"""Route (without `/v1`) -> method -> the right that it needs; HEAD is as GET. A key's domains are
checked by the handlers, which know what a request reaches. docs/http-api.md has the same table, and
tests/api/test_rights.py holds it against the routes of the application."""


BY_TOKEN = frozenset([("/image/upload", "POST")])
"""Where an upload token does instead of a key; the handler spends it."""


class Access:
    """Middleware: nothing of a route happens before its right is there."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring

    def process_resource(
        self, req: falcon.Request, resp: falcon.Response, resource: object, params: dict[str, str]
    ) -> None:
        if not hasattr(resource, f"on_{req.method.lower()}"):
            # The answer is a 405, or the list of methods.
            return
        right = needed(req.uri_template or "", req.method)
        if right is PUBLIC:
            return
        secret, route = bearer(req), (req.uri_template or "").removeprefix("/v1")
        if secret.startswith(UPLOAD_TOKEN_PREFIX) and (route, req.method) in BY_TOKEN:
            req.context.upload_token = secret
            return
        grant = self._keyring.admit(secret)
        req.context.key_id = grant.key_id
        act_as(dataclasses.replace(actor(), key_id=grant.key_id))
        grant.require(right)
        req.context.grant = grant


def needed(template: str, method: str) -> Right | None:
    """The right that a method of a route needs; what is not in the table needs the highest."""
    methods = NEEDED.get(template.removeprefix("/v1") or "/", {})
    return methods.get("GET" if method == "HEAD" else method, "admin")


def bearer(req: falcon.Request) -> str:
    """The secret in a request's Authorization header.

    Raises:
        Unauthenticated: there is none.
    """
    scheme, _, secret = (req.get_header("Authorization") or "").partition(" ")
    if scheme.lower() != "bearer" or not secret.strip():
        raise Unauthenticated("this needs an API key, sent as 'Authorization: Bearer <key>'")
    return secret.strip()


def caller(req: falcon.Request) -> Grant:
    """What the caller of a route that is not public may do."""
    grant: Grant = req.context.grant
    return grant


def upload_token(req: falcon.Request) -> str | None:
    """The upload token that stands in for a key, if the caller has one."""
    token: str | None = getattr(req.context, "upload_token", None)
    return token
