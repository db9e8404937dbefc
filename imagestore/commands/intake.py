"""The work of an import: sends files several at a time, hands URLs over, and notes how each went."""

import hashlib
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field

from imagestore.client import (
    Busy,
    Client,
    Conflict,
    Download,
    NotThere,
    Rejected,
    ServerProblem,
    Task,
)
from imagestore.commands.journal import FAILED, FETCHING, KNOWN, STORED, WARNING, Journal, Outcome
from imagestore.commands.output import Progress
from imagestore.commands.sources import Entries, Item, Unusable

URLS_AT_ONCE = 500
"""URLs that are handed over in one request, and noted together."""

FIRST_LOOK_S, LONGEST_LOOK_S = 0.2, 2.0
"""Pauses between two looks at the tasks that have not ended."""

HOPELESS = frozenset([401, 507])
"""Statuses after which no other file fares better: no valid key, no room."""


@dataclass
class Intake:
    """One run of an import.

    Args:
        jobs: files that are sent at once.
        overwrite: whether a name that holds other bytes gets the new ones.
    """

    client: Client
    journal: Journal
    progress: Progress
    jobs: int
    overwrite: bool
    tally: Counter[str] = field(default_factory=Counter)
    """How many entries came to each state in this run; `skipped` are those that an earlier run had done."""
    _batch: list[Item] = field(default_factory=list)

    def feed(self, entries: Entries) -> None:
        """Send what is not done yet; what is under way is finished also when this is interrupted.

        Raises:
            ClientError: nothing more can be sent now; everything before is noted.
            KeyboardInterrupt: Ctrl-C; likewise.
        """
        running: set[Future[Outcome]] = set()
        pool = ThreadPoolExecutor(self.jobs, thread_name_prefix="import")
        try:
            for entry in entries:
                if isinstance(entry, Unusable):
                    self._note(
                        Outcome(entry.key, entry.source, FAILED, problem=entry.problem, detail=entry.detail)
                    )
                elif entry.url:
                    self._take_url(entry)
                elif not self._is_done(entry):
                    running.add(pool.submit(self._send, entry))
                    self._collect(running, at_most=2 * self.jobs)
            self._collect(running, at_most=0)
            self._hand_over()
            self.journal.forget_older_failures()
        finally:
            pool.shutdown(cancel_futures=True)
            self._collect_rest(running)
            self.journal.flush()

    def watch(self) -> None:
        """Wait until the tasks of all URLs have ended. Raises as `feed` does."""
        pause_s = FIRST_LOOK_S
        try:
            while (first := next(self.journal.in_state(FETCHING), None)) is not None:
                began = time.monotonic()
                pause_s = FIRST_LOOK_S if self._look(first) else min(2 * pause_s, LONGEST_LOOK_S)
                # A look at a million tasks takes its time, and is not to be half of what the server does.
                time.sleep(max(pause_s, 2 * (time.monotonic() - began)))
        finally:
            self.journal.flush()

    # Files.

    def _is_done(self, item: Item) -> bool:
        """Whether an earlier run stored this very file."""
        known = self.journal.get(item.key)
        if (
            known is None
            or known.state not in (STORED, KNOWN)
            or (known.size, known.mtime_ns) != _stamp(item)
        ):
            return False
        self._skip()
        return True

    def _send(self, item: Item) -> Outcome:
        size, mtime_ns = _stamp(item)
        try:
            stored = self.client.upload(
                item.path,
                domain=item.domain,
                dkey=item.dkey,
                metadata=item.metadata,
                overwrite=self.overwrite,
            )
        except ServerProblem as error:
            if isinstance(error, Busy) or error.problem.status in HOPELESS:
                raise
            return _failed(item, error.problem.name, error.problem.detail, size, mtime_ns)
        except OSError as error:
            return _failed(item, "unreadable", error.strerror or type(error).__name__)
        state = STORED if stored.created else KNOWN
        return Outcome(item.key, item.source, state, size, mtime_ns, image_id=stored.image.id)

    def _collect(self, running: set[Future[Outcome]], *, at_most: int) -> None:
        """Note what has ended, until no more than so many are under way."""
        while len(running) > at_most:
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                running.remove(future)
                self._note(future.result())

    def _collect_rest(self, running: set[Future[Outcome]]) -> None:
        """Note what has ended well although another thing went wrong."""
        for future in running:
            if future.done() and not future.cancelled() and future.exception() is None:
                self._note(future.result())

    # URLs.

    def _take_url(self, item: Item) -> None:
        known = self.journal.get(item.key)
        if known is None or (known.state == FAILED and known.task_id is None):
            self._batch.append(item)
            if len(self._batch) >= URLS_AT_ONCE:
                self._hand_over()
        elif known.state == FAILED:
            self._try_again(item, known)
        elif known.state != FETCHING:
            self._skip()

    def _hand_over(self) -> None:
        """Let the server fetch the batch. It is named for what is in it, so that doing it again after a
        break makes no second tasks."""
        if not self._batch:
            return
        names = [str(self.journal.path), *(item.key for item in self._batch)]
        name = hashlib.sha256("\n\n".join(names).encode()).hexdigest()
        wishes = [
            Download(
                item.url,
                domain=item.domain,
                dkey=item.dkey,
                metadata=item.metadata,
                overwrite=self.overwrite,
            )
            for item in self._batch
        ]
        for taken in self.client.tasks.submit_many(wishes, idempotency_key=name):
            item = self._batch[taken.line - 1]
            if isinstance(taken, Rejected):
                self._note(_failed(item, taken.problem, taken.detail))
            else:
                self.journal.put(Outcome(item.key, item.source, FETCHING, task_id=taken.id))
        self.journal.flush()
        self._batch.clear()

    def _try_again(self, item: Item, known: Outcome) -> None:
        try:
            self.client.tasks.retry(known.task_id or 0)
        except Conflict:
            pass  # It was tried again already, by somebody else or before a break.
        except NotThere:
            self._batch.append(item)
            return
        self.journal.put(Outcome(item.key, item.source, FETCHING, task_id=known.task_id))

    def _look(self, first: Outcome) -> int:
        """Note which of the tasks have ended; how many they are. Both lists are in the order of ids."""
        ended = 0
        after = (first.task_id or 1) - 1
        tasks: Iterator[Task] = self.client.tasks.all(after=after or None)
        task = next(tasks, None)
        for fetching in self.journal.in_state(FETCHING):
            while task is not None and task.id < (fetching.task_id or 0):
                task = next(tasks, None)
            outcome = _outcome(fetching, task if task and task.id == fetching.task_id else None)
            if outcome is not None:
                self._note(outcome)
                ended += 1
        self.journal.flush()
        return ended

    def _note(self, outcome: Outcome) -> None:
        self.journal.put(outcome)
        self.tally[outcome.state] += 1
        self.progress.advance(failed=outcome.state == FAILED)

    def _skip(self) -> None:
        self.tally["skipped"] += 1
        self.progress.advance()


def _stamp(item: Item) -> tuple[int | None, int | None]:
    """Size and time of a file; none when it is gone, which sending it will report."""
    try:
        found = item.path.stat()
    except OSError:
        return None, None
    return found.st_size, found.st_mtime_ns


def _failed(
    item: Item, problem: str, detail: str, size: int | None = None, mtime_ns: int | None = None
) -> Outcome:
    return Outcome(item.key, item.source, FAILED, size, mtime_ns, problem=problem, detail=detail)


def _outcome(fetching: Outcome, task: Task | None) -> Outcome | None:
    """How a URL's task ended; None while it has not."""
    key, source, task_id = fetching.key, fetching.source, fetching.task_id
    if task is None:
        return Outcome(
            key, source, FAILED, problem="task-gone", detail="the server has no such task any more"
        )
    if not task.ended:
        return None
    state = {"succeed": STORED, "warning": WARNING}.get(task.flag, FAILED)
    detail = (task.flag_ext or "").removeprefix(f"{task.problem}: ") or None
    return Outcome(
        key, source, state, image_id=task.image_id, task_id=task_id, problem=task.problem, detail=detail
    )
