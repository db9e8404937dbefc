"""What clients saw: each request with its times and whether its answer was one that we promise."""

import json
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import httpx

CACHED, COLD, WRITE = "cached reads", "cold reads", "writes"
KINDS = (CACHED, COLD, WRITE)
"""Reads of pictures that were read before; reads of what was not; uploads, replaces, deletes, tasks."""

HANG_S = 10.0
"""No answer may take longer, whatever is broken."""

REFUSALS = {503, 507}
"""What may be answered while something is away: not now, and no room."""

Outcome = Literal["ok", "refused", "cut", "wrong"]
"""As expected; a well-formed refusal; a connection that broke; anything else, which is a bug."""


@dataclass(frozen=True)
class Seen:
    """One request; times are those of `time.monotonic`."""

    kind: str
    started: float
    ended: float
    outcome: Outcome
    what: str

    @property
    def took(self) -> float:
        return self.ended - self.started


class Journal:
    """All requests of all clients; for many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: list[Seen] = []

    def note(self, kind: str, started: float, outcome: Outcome, what: str = "") -> None:
        with self._lock:
            self._seen.append(Seen(kind, started, time.monotonic(), outcome, what))

    def between(self, start: float, end: float) -> list[Seen]:
        """Requests that were under way in that time."""
        with self._lock:
            return [one for one in self._seen if one.ended >= start and one.started <= end]

    def recovered(self, since: float, *, in_a_row: int = 3) -> bool:
        """Whether the last requests of every kind were begun after `since` and answered well."""
        return all(
            len(last) == in_a_row and all(one.outcome == "ok" and one.started > since for one in last)
            for last in (self._last(kind, in_a_row) for kind in KINDS)
        )

    def _last(self, kind: str, count: int) -> list[Seen]:
        found = []
        with self._lock:
            for one in reversed(self._seen):
                if one.kind == kind:
                    found.append(one)
                    if len(found) == count:
                        break
        return found


def unavailable_s(seen: Iterable[Seen], kind: str) -> float:
    """The longest time from a request's start that failed to the end of the next one that did not."""
    mine = sorted((one for one in seen if one.kind == kind), key=lambda one: one.started)
    longest, since = 0.0, None
    for one in mine:
        if one.outcome != "ok":
            since = one.started if since is None else since
        elif since is not None:
            longest, since = max(longest, one.ended - since), None
    return longest if since is None else max(longest, mine[-1].ended - since)


def fault_of(answer: httpx.Response) -> str | None:
    """What is wrong with a refusal; None for one as the problem table has it."""
    if answer.status_code not in REFUSALS:
        return f"status {answer.status_code}: {answer.text[:200]}"
    if answer.headers.get("Content-Type") != "application/problem+json":
        return f"status {answer.status_code} is no problem+json"
    if answer.status_code == 503 and not answer.headers.get("Retry-After", "").isdigit():
        return "503 without Retry-After"
    problem = json.loads(answer.content)
    return None if {"type", "title", "status", "detail", "instance"} <= problem.keys() else "problem is cut"
