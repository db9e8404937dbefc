"""What image stores of this process do, counted where they do it. No clock is asked."""

import contextlib
import logging
import os
import re
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from botocore.httpsession import URLLib3Session
from playhouse.pool import PooledDatabase
from redis.connection import AbstractConnection

from imagestore.children.process import Decoder


@dataclass
class Costs:
    """So far, of what this thread asks for; not of what an image store does by itself, in threads of its
    own."""

    statements: int = 0
    """Of SQL; a commit is none."""
    turns: int = 0
    """Of a connection to the database."""
    round_trips: int = 0
    """To Redis, however many commands each takes along."""
    syncs: int = 0
    looks: int = 0
    """At the file of an original: stat(2)."""
    opens: int = 0
    """Of such a file, by this process."""
    requests: int = 0
    """To S3."""
    tasks: int = 0
    """For decoders."""


@contextlib.contextmanager
def counted() -> Iterator[Costs]:
    """What is done in the block."""
    costs = Costs()
    with pytest.MonkeyPatch.context() as patch, _told_statements(costs), _seen_opens(costs):

        def count(owner: Any, name: str, what: str, counts: Callable[[Any], bool] = _is_ours) -> None:
            work = getattr(owner, name)

            def count_and_work(*arguments: Any, **options: Any) -> Any:
                setattr(costs, what, getattr(costs, what) + counts(arguments[0]))
                return work(*arguments, **options)

            patch.setattr(owner, name, count_and_work)

        count(PooledDatabase, "_connect", "turns")
        count(AbstractConnection, "send_packed_command", "round_trips", _is_ours_and_asked)
        patch.setattr(AbstractConnection, "on_connect_check_health", _greet_uncounted)
        count(os, "fsync", "syncs")
        count(os, "stat", "looks", _is_our_original)
        count(os, "lstat", "looks", _is_our_original)
        # boto3 sends a body in a thread of its own.
        count(URLLib3Session, "send", "requests", lambda _: True)
        count(Decoder, "ask", "tasks")
        yield costs


@contextlib.contextmanager
def _told_statements(costs: Costs) -> Iterator[None]:
    """Peewee tells each statement to its logger."""

    class Statements(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            # Its pool tells of itself too, to a logger below.
            costs.statements += record.name == "peewee" and _is_ours()

    logger, handler = logging.getLogger("peewee"), Statements(logging.DEBUG)
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        logger.setLevel(level)
        logger.removeHandler(handler)


_counting: list[Costs] = []


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if _counting and event == "open" and _is_our_original(arguments[0]):
        for costs in _counting:
            costs.opens += 1


# Python tells every opening of a file, by whatever function; whom it tells cannot be taken away again.
sys.addaudithook(_audit)


@contextlib.contextmanager
def _seen_opens(costs: Costs) -> Iterator[None]:
    _counting.append(costs)
    try:
        yield
    finally:
        # Not `remove`, for which equal costs are the same.
        _counting.pop()


def _is_ours(_: object = None) -> bool:
    return threading.current_thread() is threading.main_thread()


def _is_ours_and_asked(connection: AbstractConnection) -> bool:
    """Not a greeting: whether one is needed is up to who else uses the pool's connections just then."""
    return _is_ours() and connection not in _greeting


_greeting: set[AbstractConnection] = set()
"""Connections that are being made."""

_greet = AbstractConnection.on_connect_check_health


def _greet_uncounted(connection: AbstractConnection, *arguments: Any, **options: Any) -> Any:
    _greeting.add(connection)
    try:
        return _greet(connection, *arguments, **options)
    finally:
        _greeting.discard(connection)


def _is_our_original(path: object) -> bool:
    return isinstance(path, str | Path) and bool(_ORIGINAL.search(str(path))) and _is_ours()


_ORIGINAL = re.compile(r"/[0-9a-f]{2}/[0-9a-f]{2}/[0-9a-f]{64}$")
"""Where a folder keeps one."""
