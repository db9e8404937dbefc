"""What a task is, in values: one thing to be done later, and how it ended."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

Flag = Literal["created", "succeed", "failed", "warning"]
"""`created` until the task has ended; `warning` is stored, with something that a person should know."""

Kind = Literal["download", "upload", "pregenerate"]
"""A URL to fetch; received bytes to check and to name; a domain whose presets are to be rendered."""

KINDS: tuple[Kind, ...] = ("download", "upload", "pregenerate")

FLAGS: tuple[Flag, ...] = ("created", "succeed", "failed", "warning")

CALLBACK_UNDELIVERABLE = "callback-undeliverable"

MAX_SENTENCE = 500
"""Longest sentence in a `flag_ext`, characters."""


@dataclass(frozen=True, slots=True)
class NewTask:
    """A task as it is asked for; every value is already checked.

    `host` is where its work goes to (empty for none). `sha256` is an upload's content, which is in
    the store before the task is.
    """

    kind: Kind
    domain: str
    dkey: str | None = None
    url: str = ""
    host: str = ""
    page_url: str | None = None
    metadata: Mapping[str, Any] | None = None
    callback: str | None = None
    overwrite: bool = False
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class Fetch:
    """What an origin said about the bytes that it gave: for a conditional request later on."""

    final_url: str | None = None
    etag: str | None = None
    last_modified: str | None = None


@dataclass(frozen=True, slots=True)
class Callback:
    """How the delivery of the result goes: `waiting`, `delivered` or `failed`."""

    flag: str
    attempts: int
    problem: str | None


@dataclass(frozen=True, slots=True)
class TaskRecord:
    """A row of `image_task`. Times are UTC, to the millisecond; `duration_ms` is the last attempt's.

    `key_id` is that of the caller who handed it in, `request_id` that of the request.
    """

    id: int
    kind: Kind
    domain: str
    dkey: str | None
    url: str
    host: str
    page_url: str | None
    metadata: Mapping[str, Any]
    callback: str | None
    overwrite: bool
    sha256: str | None
    flag: Flag
    problem: str | None
    flag_ext: str | None
    image_id: int | None
    attempts: int
    deaths: int
    duration_ms: int | None
    fetch: Fetch
    delivery: Callback | None
    progress: Mapping[str, Any]
    due_time: datetime | None
    create_time: datetime
    update_time: datetime
    end_time: datetime | None
    key_id: str | None
    request_id: str | None

    @property
    def ended(self) -> bool:
        return self.flag != "created"

    @property
    def event_id(self) -> str:
        """The same for every delivery of one result (Standard Webhooks, `webhook-id`)."""
        ended_ms = int(self.end_time.timestamp() * 1000) if self.end_time else 0
        return f"task_{self.id}_{ended_ms}"


@dataclass(frozen=True, slots=True)
class Ended:
    """How an attempt ended for good."""

    flag: Flag
    problem: str | None = None
    sentence: str = ""
    image_id: int | None = None
    sha256: str | None = None
    fetch: Fetch = Fetch()

    @property
    def flag_ext(self) -> str | None:
        """A short machine word and a sentence: `http-404: origin answered 404 Not Found`."""
        return f"{self.problem}: {self.sentence[:MAX_SENTENCE]}" if self.problem else None


@dataclass(frozen=True, slots=True)
class Due:
    """A task that the sweeper must look at: `queued` a job was sent, `claimed` a job began."""

    id: int
    kind: str
    domain: str
    host: str
    queued: bool
    claim: str | None
    deaths: int


@dataclass(frozen=True, slots=True)
class Again:
    """An attempt that did not end the task: the next one is due in `delay_s` seconds.

    One that `counts` uses up a try; one that only found no free place does not.
    """

    delay_s: float
    problem: str | None = None
    sentence: str = ""
    counts: bool = True


@dataclass(frozen=True, slots=True, order=True)
class Standing:
    """Where a task stands: its flag, and why, empty for nothing; of one that has not ended it is the kind."""

    domain: str
    flag: str
    reason: str

    @classmethod
    def waiting(cls, domain: str, kind: str) -> "Standing":
        """Of a task that has not ended. The problem of its last try counts for nothing."""
        return cls(domain, "created", kind)

    @classmethod
    def ended(cls, domain: str, flag: str, problem: str | None) -> "Standing":
        """Of a task that has."""
        return cls(domain, flag, problem or "")


@dataclass(frozen=True, slots=True)
class Miscount:
    """How many tasks of a standing were noted, and how many there are."""

    standing: Standing
    noted: int
    real: int

    def __str__(self) -> str:
        where = self.standing
        tasks = f"{where.flag} {where.reason}".strip()
        return f"{tasks} tasks of {where.domain}: {self.noted} counted, {self.real} there"


@dataclass(frozen=True, slots=True)
class TaskSearch:
    """Which tasks, and from where: those behind the id `after`, or before it, if `newest` come first; no
    `domains` are all."""

    flag: str | None = None
    problem: str | None = None
    domains: Collection[str] = ()
    after: int | None = None
    newest: bool = False


def describe_task(task: TaskRecord) -> dict[str, Any]:
    """A task as JSON, for GET and for its callback."""
    described: dict[str, Any] = {
        "id": task.id,
        "kind": task.kind,
        "domain": task.domain,
        "dkey": task.dkey,
        "url": task.url or None,
        "page_url": task.page_url,
        "metadata": dict(task.metadata),
        "flag": task.flag,
        "flag_ext": task.flag_ext,
        "problem": task.problem,
        "image_id": task.image_id,
        "sha256": task.sha256,
        "attempts": task.attempts,
        "duration_ms": task.duration_ms,
        "final_url": task.fetch.final_url,
        "callback": _describe_callback(task),
        "create_time": _moment(task.create_time),
        "update_time": _moment(task.update_time),
        "end_time": _moment(task.end_time),
        "next_time": None if task.ended else _moment(task.due_time),
        "links": {"self": f"/v1/tasks/{task.id}"},
    }
    if task.kind == "pregenerate":
        described["progress"] = dict(task.progress)
    if task.image_id is not None:
        described["links"]["image"] = f"/v1/images/{task.image_id}"
    return described


def callback_body(task: TaskRecord) -> bytes:
    """The JSON that a callback carries: the same bytes each time that it is sent."""
    described = describe_task(task)
    del described["callback"], described["update_time"], described["next_time"]
    return json.dumps(described, ensure_ascii=False, separators=(",", ":")).encode()


def _describe_callback(task: TaskRecord) -> dict[str, Any] | None:
    if task.callback is None:
        return None
    delivery = task.delivery or Callback("waiting", 0, None)
    return {
        "url": task.callback,
        "flag": delivery.flag,
        "attempts": delivery.attempts,
        "problem": delivery.problem,
    }


def _moment(moment: datetime | None) -> str | None:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z" if moment else None
