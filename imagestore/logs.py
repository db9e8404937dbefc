"""How log lines look: text for people at a terminal, JSON for machines that collect it.

A line is one event. What a message's template calls `name=%s` is a field of its own in JSON, so that no
text of a client can make a field up; each line also has the request that it belongs to, if any.
"""

import json
import logging
import re
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Literal

from imagestore.actor import actor

Format = Literal["text", "json"]

FORMATS: tuple[Format, ...] = ("text", "json")

_PLACEHOLDER = re.compile(r"(?:\b([a-z][a-z_0-9]*)=)?%(?:%|[-+ #0-9.]*[a-zA-Z])")


def set_up(log_format: Format) -> None:
    """Let all loggers of this process write to standard error, from INFO on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter(log_format))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    # imagestore.migrations has a line for each that was applied.
    logging.getLogger("peewee.migrations").setLevel(logging.WARNING)


def formatter(log_format: str) -> logging.Formatter:
    """What makes lines of this form; text for any other word, which Settings will refuse."""
    return JsonLines() if log_format == "json" else TextLines()


class TextLines(logging.Formatter):
    """`LEVEL logger pid=1 message request_id=...`; who collects the lines adds the time."""

    def __init__(self) -> None:
        super().__init__("%(levelname)s %(name)s pid=%(process)d %(message)s%(cause)s")

    def format(self, record: logging.LogRecord) -> str:
        record.cause = "".join(f" {name}={value}" for name, value in _cause().items())
        return super().format(record)


class JsonLines(logging.Formatter):
    """One JSON object a line: time (UTC), level, logger, pid, message, then what else is known."""

    def format(self, record: logging.LogRecord) -> str:
        when = datetime.fromtimestamp(record.created, UTC)
        line: dict[str, Any] = {
            "time": when.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "pid": record.process,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        for name, value in [*_cause().items(), *_fields(record)]:
            line.setdefault(name, value)
        return json.dumps(line, ensure_ascii=False, default=str)


def _cause() -> dict[str, str]:
    """Whose doing it is, as far as that is known."""
    who = actor()
    known = {"request_id": who.origin or who.request_id, "key_id": who.key_id}
    return {name: value for name, value in known.items() if value}


def _fields(record: logging.LogRecord) -> Iterator[tuple[str, Any]]:
    """The values that the message's template gives a name."""
    if not isinstance(record.args, tuple):
        return
    values = iter(record.args)
    for placeholder in _PLACEHOLDER.finditer(str(record.msg)):
        if placeholder[0].endswith("%%"):
            continue
        value = next(values, None)
        if placeholder[1]:
            yield placeholder[1], value
