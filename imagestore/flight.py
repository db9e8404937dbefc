"""Single flight inside one process: of the threads that want one thing, one gets it and the others
wait for it."""

import contextlib
import copy
import threading
from collections.abc import Callable, Hashable, Iterator
from typing import Generic, TypeVar

from imagestore.errors import ImagestoreError

T = TypeVar("T")


class _Flight(Generic[T]):
    """One thing under way: what its leader found, or what went wrong."""

    def __init__(self) -> None:
        self.landed = threading.Event()
        self.result: list[T] = []
        self.error: BaseException | None = None


class Flights(Generic[T]):
    """The things that threads of this process are getting now."""

    def __init__(self, *, patience_s: float) -> None:
        self._patience_s = patience_s
        self._lock = threading.Lock()
        self._flights: dict[Hashable, _Flight[T]] = {}

    def run(self, key: Hashable, lead: Callable[[], T], alone: Callable[[], T]) -> T:
        """What `lead` gives, called by one thread at a time for each `key`.

        The other threads get the same result, or an error of this package that the leader raised
        (a fresh copy, as a traceback belongs to one thread). A thread that has waited `patience_s`
        seconds, or whose leader met a bug, calls `alone` for itself.
        """
        with self._lock:
            flight = self._flights.get(key)
            if flight is None:
                mine = self._flights[key] = _Flight()
        if flight is None:
            return self._lead(key, mine, lead)
        flight.landed.wait(self._patience_s)
        if isinstance(flight.error, ImagestoreError):
            raise copy.copy(flight.error) from flight.error
        return flight.result[0] if flight.result else alone()

    def _lead(self, key: Hashable, flight: _Flight[T], lead: Callable[[], T]) -> T:
        try:
            flight.result.append(lead())
        except BaseException as error:
            flight.error = error
            raise
        finally:
            with self._lock:
                del self._flights[key]
            flight.landed.set()
        return flight.result[0]


@contextlib.contextmanager
def heartbeat(beat: Callable[[], object], *, every_s: float) -> Iterator[None]:
    """Call `beat` every `every_s` seconds, in a thread of its own, while the block runs."""
    done = threading.Event()

    def run() -> None:
        while not done.wait(every_s):
            beat()

    thread = threading.Thread(target=run, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
