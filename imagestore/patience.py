"""How long who asks has waited already before this process heard of it: an entrance says it once, for its
thread, and the line of renders takes it off the time that it gives."""

from contextvars import ContextVar

_waited_s: ContextVar[float] = ContextVar("waited_s", default=0.0)


def note_wait(seconds: float) -> None:
    """What this thread works on from now on has waited for so long."""
    _waited_s.set(seconds)


def waited_s() -> float:
    """Seconds, 0 or more."""
    return _waited_s.get()
