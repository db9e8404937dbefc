"""Who acts: what the audit log says about the cause of a change.

An entrance (a request, a job, a command) says it once, for its thread, and the catalog takes it up
where it writes; every function between them would else carry a value that it does not use.
"""

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Actor:
    """`key_id` as in `grants.Grant`; `request_id` of a request, or `task 17` for a task's job;
    `address` of the client. `origin` is the id of the request that a task's job goes back to. None is
    what nobody knows."""

    key_id: str | None = None
    request_id: str | None = None
    address: str | None = None
    origin: str | None = None


NOBODY = Actor()

_present: ContextVar[Actor] = ContextVar("actor", default=NOBODY)


def actor() -> Actor:
    """Who acts in this thread."""
    return _present.get()


def act_as(who: Actor) -> None:
    """From now on `who` acts in this thread."""
    _present.set(who)


@contextlib.contextmanager
def acting_as(who: Actor) -> Iterator[None]:
    """`who` acts in this thread within the `with` block."""
    token = _present.set(who)
    try:
        yield
    finally:
        _present.reset(token)
