"""What the server does later: downloads by URL, alone and by the million, and what became of them."""

import itertools
import json
import secrets
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from imagestore.client.problems import ClientError
from imagestore.client.transport import Transport
from imagestore.client.values import Task

BATCH_LINES = 5000
"""Downloads in one request, about a megabyte: it can be sent again whole when the connection breaks."""

FIRST_POLL_S = 0.05
LONGEST_POLL_S = 1.0


class Unfinished(ClientError):
    """A task had not ended when the time was over."""

    name = "unfinished"


@dataclass(frozen=True, slots=True)
class Download:
    """A URL to fetch, and what to make of it; without `domain` and `dkey` the server names it."""

    url: str
    domain: str | None = None
    dkey: str | None = None
    page_url: str | None = None
    metadata: Mapping[str, Any] | None = None
    callback: str | None = None
    overwrite: bool = False

    def members(self) -> dict[str, Any]:
        """Its JSON, without what is not given."""
        values = {name: getattr(self, name) for name in self.__slots__}
        return {name: value for name, value in values.items() if value not in (None, False)}


@dataclass(frozen=True, slots=True)
class Submitted:
    """A download that was taken: its place in what was given, from 1, and its task."""

    line: int
    id: int
    url: str


@dataclass(frozen=True, slots=True)
class Rejected:
    """A download that was not taken, and why."""

    line: int
    problem: str
    detail: str


class Tasks:
    """The tasks of one server; every method needs an API key, and raises as those of `Client`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def submit(self, wish: Download, *, idempotency_key: str | None = None) -> Task:
        """Let the server fetch a URL; the same `idempotency_key` again gives the same task."""
        headers = {"Idempotency-Key": idempotency_key or secrets.token_hex(16)}
        return Task.parse(
            self._transport.json("POST", "/image/download", value=wish.members(), headers=headers)
        )

    def submit_many(
        self, wishes: Iterable[Download], *, idempotency_key: str | None = None
    ) -> Iterator[Submitted | Rejected]:
        """Let the server fetch as many URLs as there are; what became of each line comes as it is known.

        Wishes are taken as they are needed, a few thousand at a time. Given the same key and the same
        wishes again, as after a break, it makes no second task of any.
        """
        key = idempotency_key or secrets.token_hex(16)
        numbered = enumerate(wishes, start=1)
        for part in itertools.count(1):
            batch = list(itertools.islice(numbered, BATCH_LINES))
            if not batch:
                return
            yield from self._submit(batch, f"{key}.{part}")

    def _submit(self, batch: list[tuple[int, Download]], key: str) -> list[Submitted | Rejected]:
        lines = [json.dumps(wish.members(), ensure_ascii=False) for _, wish in batch]
        headers = {"Content-Type": "application/x-ndjson", "Idempotency-Key": key}
        reply = self._transport.send("POST", "/tasks", body="\n".join(lines).encode(), headers=headers)
        answer, first = json.loads(reply.body), batch[0][0] - 1
        found: list[Submitted | Rejected] = [
            Submitted(first + task["line"], task["id"], task["url"]) for task in answer["tasks"]
        ]
        found += [
            Rejected(first + entry["line"], entry["problem"], entry.get("detail", ""))
            for entry in answer["rejected"]
        ]
        return sorted(found, key=lambda outcome: outcome.line)

    def get(self, task_id: int) -> Task:
        """One task as it is now."""
        return Task.parse(self._transport.json("GET", f"/tasks/{task_id}"))

    def all(
        self,
        *,
        flag: str | None = None,
        reason: str | None = None,
        domain: str | None = None,
        after: int | None = None,
    ) -> Iterator[Task]:
        """All tasks, or those with a flag, a reason, a domain; by id, asked for page by page."""
        query = {"flag": flag, "reason": reason, "domain": domain, "after": after, "limit": 500}
        for described in self._transport.pages("/tasks", query, "tasks"):
            yield Task.parse(described)

    def summary(self, domain: str | None = None) -> Mapping[str, Any]:
        """How many tasks there are: `total`, `flags`, and `problems` of the failed and the warnings."""
        found: Mapping[str, Any] = self._transport.json("GET", "/tasks/summary", {"domain": domain})
        return found

    def wait(self, task: Task | int, *, timeout_s: float = 300) -> Task:
        """The task once it has ended, however it did.

        Raises:
            Unfinished: it has not within `timeout_s` seconds.
        """
        number = task.id if isinstance(task, Task) else task
        deadline, pause_s = time.monotonic() + timeout_s, FIRST_POLL_S
        while not (now := self.get(number)).ended:
            if time.monotonic() + pause_s > deadline:
                raise Unfinished(f"task {number} has not ended within {timeout_s:g} s")
            time.sleep(pause_s)
            pause_s = min(pause_s * 2, LONGEST_POLL_S)
        return now

    def retry(self, task: Task | int) -> Task:
        """Let a failed task start over.

        Raises:
            Conflict: it has not failed.
        """
        number = task.id if isinstance(task, Task) else task
        return Task.parse(self._transport.json("POST", f"/tasks/{number}/retry"))

    def retry_failed(self, *, reason: str | None = None, domain: str | None = None) -> int:
        """Let all failed tasks (of a reason, of a domain) start over; how many they are."""
        query = {"flag": "failed", "reason": reason, "domain": domain}
        return int(self._transport.json("POST", "/tasks/retry", query)["retried"])

    def withdraw(self, task: Task | int) -> None:
        """Take back a task that has not begun.

        Raises:
            Conflict: it has.
        """
        self._transport.send("DELETE", f"/tasks/{task.id if isinstance(task, Task) else task}")

    def pregenerate(self, domain: str) -> Task:
        """Render the presets of every picture of a domain."""
        return Task.parse(self._transport.json("POST", "/images/pregenerate", {"domain": domain}))
