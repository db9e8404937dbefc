"""Until when who asks will wait for a processor: an entrance says it once, for its thread, and the line of
renders takes it up."""

import math
import time
from contextvars import ContextVar

_deadline: ContextVar[float] = ContextVar("deadline", default=math.inf)


def wait_at_most(seconds: float) -> None:
    """From now on this thread waits no longer than that for a processor; `math.inf` is no bound."""
    _deadline.set(time.monotonic() + seconds)


def deadline() -> float:
    """When patience ends, by `time.monotonic()`."""
    return _deadline.get()
