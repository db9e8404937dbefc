"""A breaker: something that just failed is left alone for a moment, so that not every caller waits
for its timeout."""

import logging
import threading
import time

from imagestore.metrics import count_outage

log = logging.getLogger(__name__)


class Breaker:
    """Says whether a dependency may be asked; safe to share between threads.

    After a failure nobody asks for `pause_s` seconds, then one caller at a time tries, once in
    `pause_s`, until one of them succeeds. It logs one line when the dependency goes and one when
    it is back.
    """

    def __init__(self, what: str, *, pause_s: float = 1.0) -> None:
        self._what = what
        self._pause_s = pause_s
        self._lock = threading.Lock()
        self._retry_at: float | None = None

    def allows(self, *, may_try: bool = True) -> bool:
        """Whether to ask now; while the dependency is thought away, True to one caller only of those that
        `may_try`, and so have the time that it takes to find out."""
        if self._retry_at is None:
            return True
        with self._lock:
            now = time.monotonic()
            if self._retry_at is None or (may_try and now >= self._retry_at):
                if self._retry_at is not None:
                    self._retry_at = now + self._pause_s
                return True
            return False

    def failed(self, error: Exception) -> None:
        """It did not answer; leave it alone from now on."""
        with self._lock:
            first = self._retry_at is None
            self._retry_at = time.monotonic() + self._pause_s
        if first:
            count_outage(self._what)
            log.warning("%s is away: %s", self._what, type(error).__name__)

    def succeeded(self) -> None:
        """It answered; everybody may ask again."""
        if self._retry_at is None:
            return
        with self._lock:
            back, self._retry_at = self._retry_at is not None, None
        if back:
            log.warning("%s is back", self._what)
