"""What is stored in the container stack, and clients that go on while something happens to it."""

import contextlib
import io
import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import httpx
import pytest

from tests.pictures import quadrants
from tests.servers import wait_until
from tests.stack.containers import Containers

needs_engine = pytest.mark.skipif(
    not os.environ.get("COMPOSE_TESTS"), reason="needs a Docker engine: make test-stack"
)


def picture(number: int) -> bytes:
    """A small JPEG; another one for each number."""
    buffer = io.BytesIO()
    quadrants(120 + number % 400, 90 + number // 400).save(buffer, "JPEG")
    return buffer.getvalue()


def upload(stack: Containers, body: bytes, dkey: str) -> dict[str, object]:
    answer = stack.writer.put(f"/test/{dkey}", content=body)
    assert answer.status_code in (200, 201), answer.text
    return dict(answer.json())


@dataclass
class Load:
    """Readers of one cached thumbnail, one of its description, which the API gives, and one uploader,
    until they are told to stop."""

    stack: Containers
    number: int
    acknowledged: dict[str, bytes] = field(default_factory=dict)
    reads: list[tuple[float, str]] = field(default_factory=list)
    """When a read of the thumbnail began, and how it ended."""
    api_reads: list[tuple[float, str]] = field(default_factory=list)
    """The same of the description."""
    failed_uploads: list[str] = field(default_factory=list)
    _stopping: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        stored = upload(self.stack, picture(9_000 + self.number), f"load-{self.number}/cached.jpg")
        self.path = f"/image/read?id={stored['id']}&width=33"
        self.api_path = f"/image/info?id={stored['id']}"
        wait_until(
            lambda: self.stack.http.get(self.path).headers.get("X-Cache") in ("redis", "memory"),
            what="the thumbnail is cached",
        )

    @contextlib.contextmanager
    def running(self) -> Iterator["Load"]:
        with ThreadPoolExecutor(4) as threads:
            reads = [(self.path, self.reads), (self.path, self.reads), (self.api_path, self.api_reads)]
            work = [threads.submit(self._read, *each) for each in reads]
            work.append(threads.submit(self._upload))
            try:
                yield self
            finally:
                self._stopping.set()
                for each in work:
                    each.result()

    def wait_for_uploads(self, count: int) -> None:
        """Until so many more uploads were acknowledged."""
        wanted = len(self.acknowledged) + count
        wait_until(lambda: len(self.acknowledged) >= wanted, what=f"{count} uploads", timeout_s=90)

    def _read(self, path: str, outcomes: list[tuple[float, str]]) -> None:
        with httpx.Client(base_url=self.stack.address, timeout=20) as client:
            while not self._stopping.wait(0.02):
                started = time.monotonic()
                try:
                    answer = client.get(path)
                    outcome = f"{answer.status_code} {answer.headers.get('X-Request-Id')}"
                except httpx.HTTPError as error:
                    outcome = repr(error)
                # The id leads to the line in nginx's log.
                outcomes.append((started, "200" if outcome.startswith("200 ") else outcome))

    def _upload(self) -> None:
        headers = dict(self.stack.writer.headers)
        with httpx.Client(base_url=self.stack.address, timeout=20, headers=headers) as client:
            count = 0
            while not self._stopping.wait(0.05):
                body, dkey = picture(self.number * 1_000 + count), f"load-{self.number}/{count}.jpg"
                try:
                    status = client.put(f"/test/{dkey}", content=body).status_code
                except httpx.HTTPError as error:
                    self.failed_uploads.append(repr(error))
                else:
                    if status in (200, 201):
                        self.acknowledged[dkey] = body
                    else:
                        self.failed_uploads.append(str(status))
                count += 1


def began_between(reads: list[tuple[float, str]], start: float, end: float) -> list[str]:
    """How those reads ended that began between two moments."""
    return [outcome for moment, outcome in reads if start < moment < end]
