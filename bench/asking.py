"""Sends requests over a few connections, each once."""

import http.client
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

CLIENTS = 4
"""Twice as many as cores: one request waits while one is worked on."""


@dataclass(frozen=True, slots=True)
class Request:
    """What a client sends."""

    url: str
    method: str = "GET"
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Answers:
    """What came of requests: how long it took in all, and each answer's status and time, in no order."""

    seconds: float = 0.0
    statuses: list[int] = field(default_factory=list)
    times_s: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Answers a second.

        Raises:
            RuntimeError: one was an error, so that the figure would say nothing.
        """
        if bad := [status for status in self.statuses if not 200 <= status < 300]:
            raise RuntimeError(f"{len(bad)} of {len(self.statuses)} answers were errors, as {bad[0]}")
        return len(self.statuses) / self.seconds


def ask(urls: Iterable[str], clients: int = CLIENTS) -> Answers:
    """GET each of `urls`, as `send`."""
    return send((Request(url) for url in urls), clients)


def send(requests: Iterable[Request], clients: int = CLIENTS) -> Answers:
    """Send all, to one server, by so many clients with a connection each. What gives them is asked for
    the next one when a client is free."""
    waiting, answers, faults = _Shared(iter(requests)), Answers(), list[Exception]()

    def work() -> None:
        connection: http.client.HTTPConnection | None = None
        try:
            for request in waiting:
                place = urlsplit(request.url)
                connection = connection or http.client.HTTPConnection(
                    place.hostname or "", place.port, timeout=120
                )
                target = f"{place.path}?{place.query}" if place.query else place.path
                began = time.perf_counter()
                connection.request(request.method, target, request.body, dict(request.headers))
                answer = connection.getresponse()
                answer.read()
                answers.times_s.append(time.perf_counter() - began)
                answers.statuses.append(answer.status)
        except Exception as error:  # Told by the caller's thread.
            faults.append(error)
        finally:
            if connection:
                connection.close()

    threads = [threading.Thread(target=work) for _ in range(clients)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    answers.seconds = time.perf_counter() - began
    if faults:
        raise faults[0]
    return answers


class _Shared(Iterator[Request]):
    """For several threads, which may not ask a generator at once."""

    def __init__(self, requests: Iterator[Request]) -> None:
        self._requests = requests
        self._turn = threading.Lock()

    def __next__(self) -> Request:
        with self._turn:
            return next(self._requests)
