"""Asks for a list of addresses over a few connections, each address once."""

import http.client
import queue
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

CLIENTS = 4
"""Twice as many as cores: one request waits while one is worked on."""


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
        if bad := [status for status in self.statuses if status != http.client.OK]:
            raise RuntimeError(f"{len(bad)} of {len(self.statuses)} answers were errors, as {bad[0]}")
        return len(self.statuses) / self.seconds


def ask(urls: Sequence[str], clients: int = CLIENTS) -> Answers:
    """GET each of `urls`, all of one server, by so many clients with a connection each."""
    waiting: queue.SimpleQueue[str] = queue.SimpleQueue()
    for url in urls:
        waiting.put(url)
    answers, faults = Answers(), list[Exception]()

    def work() -> None:
        start = urlsplit(urls[0])
        connection = http.client.HTTPConnection(start.hostname or "", start.port, timeout=120)
        try:
            while True:
                place = urlsplit(waiting.get_nowait())
                began = time.perf_counter()
                connection.request("GET", f"{place.path}?{place.query}" if place.query else place.path)
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
