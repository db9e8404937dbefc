"""A progress bar on a terminal."""

import contextlib
from collections.abc import Iterator

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn


class _Bar:
    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress = progress
        self._task = task
        self._failed = 0

    def advance(self, steps: int = 1, *, failed: int = 0) -> None:
        self._failed += failed
        self._progress.update(self._task, advance=steps, failed=self._failed)


@contextlib.contextmanager
def bar(what: str, total: int | None) -> Iterator[_Bar]:
    """A bar on stderr while the block runs; without `total` it only shows that something moves."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[failed]} failed"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        yield _Bar(progress, progress.add_task(what, total=total, failed=0))
