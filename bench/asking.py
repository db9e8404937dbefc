"""Sends a list of requests over a few connections, each once."""

import http.client
import queue
import threading
import time
from collections.abc import Mapping, Sequence
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
    """What came of a list: how long it took in all, and each answer's status and time, in no order."""

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


def ask(urls: Sequence[str], clients: int = CLIENTS) -> Answers:
    """GET each of `urls`, as `send`."""
    return send([Request(url) for url in urls], clients)


def send(requests: Sequence[Request], clients: int = CLIENTS) -> Answers:
    """Send all, to one server, by so many clients with a connection each."""
    waiting: queue.SimpleQueue[Request] = queue.SimpleQueue()
    for request in requests:
        waiting.put(request)
    answers, faults = Answers(), list[Exception]()

    def work() -> None:
        start = urlsplit(requests[0].url)
        connection = http.client.HTTPConnection(start.hostname or "", start.port, timeout=120)
        try:
            while True:
                request = waiting.get_nowait()
                place = urlsplit(request.url)
                target = f"{place.path}?{place.query}" if place.query else place.path
                began = time.perf_counter()
                connection.request(request.method, target, request.body, dict(request.headers))
                answer = connection.getresponse()
                answer.read()
                answers.times_s.append(time.perf_counter() - began)
                answers.statuses.append(answer.status)
        except queue.Empty:
            pass
        except Exception as error:  # Told by the caller's thread.
            faults.append(error)
        finally:
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
