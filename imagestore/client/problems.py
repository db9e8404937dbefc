"""What can go wrong for a client, by what a caller can do about it.

Every error that a server answers is a `ServerProblem`; its `problem` is the body (RFC 9457), and
`problem.name` the word of docs/http-api.md.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from imagestore.errors import ImagestoreError


@dataclass(frozen=True, slots=True)
class Problem:
    """An `application/problem+json` body."""

    name: str
    """Last part of its `type`, as `image-not-found`; `http-<status>` when the answer was no problem."""
    title: str
    status: int
    detail: str
    instance: str
    """The request's id, which the server's logs have too; empty when the server gave none."""
    members: Mapping[str, Any] = field(default_factory=dict)
    """What else there is, as `parameter`."""

    @classmethod
    def parse(cls, status: int, body: bytes) -> "Problem":
        """The problem in an answer; one of our own words when something else answered."""
        try:
            found = json.loads(body)
        except ValueError:
            found = None
        if not isinstance(found, dict) or not str(found.get("type", "")).startswith("/problems/"):
            return cls(f"http-{status}", "", status, f"the server answered {status}, and not why", "")
        members = {str(key): value for key, value in found.items() if key not in _KNOWN}
        texts = (str(found.get(name, "")) for name in ("title", "detail", "instance"))
        title, detail, instance = texts
        return cls(str(found["type"]).removeprefix("/problems/"), title, status, detail, instance, members)


_KNOWN = frozenset(["type", "title", "status", "detail", "instance"])


class ClientError(ImagestoreError):
    """Base of what this client raises when a server could not do what it was asked."""


class Unreachable(ClientError):
    """No answer came, or it was cut short."""

    name = "unreachable"


class ServerProblem(ClientError):
    """The server answered with a problem."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(f"{problem.name}: {problem.detail}")
        self.problem = problem

    def __reduce__(self) -> tuple[type["ServerProblem"], tuple[Problem]]:
        return type(self), (self.problem,)


class Refused(ServerProblem):
    """The request cannot succeed as it is: a wrong value, or a file that is no picture (4xx)."""


class NotAllowed(Refused):
    """No API key, or one that may not do this (401, 403)."""


class NotThere(Refused):
    """No such picture or task (404)."""


class Conflict(Refused):
    """Something else is there: other bytes, another version, a task that has ended (409, 412)."""


class Busy(ServerProblem):
    """Too much to do, or something is away (429, 503), also after the last try; later may help."""

    retry_after_s: float | None = None
    """The pause that the server asked for."""


class ServerFault(ServerProblem):
    """The server failed (other 5xx)."""


def error_for(problem: Problem) -> ServerProblem:
    """The error that an answer with this problem is."""
    kinds = {
        401: NotAllowed,
        403: NotAllowed,
        404: NotThere,
        409: Conflict,
        412: Conflict,
        429: Busy,
        503: Busy,
    }
    return kinds.get(problem.status, ServerFault if problem.status >= 500 else Refused)(problem)
