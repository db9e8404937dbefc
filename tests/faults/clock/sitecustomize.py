"""For programs that are started with this folder on PYTHONPATH: their wall clock is off by what the file
CLOCK_FILE says, as `+3600` for an hour ahead. Their monotonic clock is not, as after a real step.

libfaketime does the same to nginx. To Python it does too much: the version of Debian 12 (0.9.10) breaks
`time.sleep` when it leaves the monotonic clock alone.
"""

import datetime
import os
import time
from typing import Any

LOOK_EVERY_S = 0.2

_real_time, _monotonic = time.time, time.monotonic
_real_localtime, _real_gmtime = time.localtime, time.gmtime
_Real = datetime.datetime
_offset, _look_at = 0.0, 0.0


def _shift() -> float:
    global _offset, _look_at
    if _monotonic() >= _look_at:
        _look_at = _monotonic() + LOOK_EVERY_S
        with open(os.environ["CLOCK_FILE"]) as file:
            _offset = float(file.read())
    return _offset


def _time() -> float:
    return _real_time() + _shift()


class _TellsReal(type):
    """What the C library made is a datetime too."""

    def __instancecheck__(cls, value: object) -> bool:
        return isinstance(value, _Real)


class _Datetime(_Real, metaclass=_TellsReal):
    @classmethod
    def now(cls, tz: Any = None) -> Any:
        return cls.fromtimestamp(_time(), tz)

    @classmethod
    def utcnow(cls) -> Any:
        return cls.now(datetime.UTC).replace(tzinfo=None)


if "CLOCK_FILE" in os.environ:
    time.time = _time
    time.time_ns = lambda: int(_time() * 1e9)
    time.localtime = lambda seconds=None: _real_localtime(_time() if seconds is None else seconds)
    time.gmtime = lambda seconds=None: _real_gmtime(_time() if seconds is None else seconds)
    datetime.datetime = _Datetime  # type: ignore[misc]  # in its place on purpose
