"""What a command prints: results on stdout, for people or as JSON; progress on stderr."""

import contextlib
import json
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import click

QUIET_INTERVAL_S = 10
"""How often a line tells of progress where there is no terminal to draw a bar on."""


class Progress(Protocol):
    """Counts what is done."""

    def advance(self, steps: int = 1, *, failed: int = 0) -> None:
        """So many more are done; of them so many failed."""


@dataclass(frozen=True, slots=True)
class Output:
    """The printer of one command."""

    as_json: bool

    def record(self, value: Mapping[str, Any]) -> None:
        """One thing: with --json an object, else a line for each member."""
        if self.as_json:
            self._json(value)
            return
        width = max(map(len, value), default=0)
        for name, member in value.items():
            click.echo(f"{name:<{width}}  {_plain(member)}")

    def rows(
        self, values: Iterable[Mapping[str, Any]], columns: Iterable[str], *, none: str = "there are none"
    ) -> None:
        """Many things, printed as they come: with --json whole and one a line, else `columns` of them,
        separated by tabs; `none` is what a person is told on stderr where there are none."""
        names = list(columns)
        number = 0
        for number, value in enumerate(values, start=1):
            if self.as_json:
                self._json(value)
                continue
            if number == 1:
                click.echo("\t".join(names))
            click.echo("\t".join(_plain(value.get(name)) for name in names))
        if number == 0 and not self.as_json:
            self.hint(none)

    def text(self, line: str, value: Any = None) -> None:
        """A line for people; with --json `value` in its place, or nothing."""
        if not self.as_json:
            click.echo(line)
        elif value is not None:
            self._json(value)

    def hint(self, line: str) -> None:
        """A line on stderr, beside the result."""
        click.echo(line, err=True)

    @contextlib.contextmanager
    def progress(self, what: str, total: int | None = None) -> Iterator[Progress]:
        """Show how far a long work is: a bar on a terminal, else a line every 10 s; on stderr.

        `total` is how many there are, None when nobody knows.
        """
        if not sys.stderr.isatty():
            yield _Lines(what, total)
            return
        # Imported here: it takes 60 ms, which most commands need not wait for.
        from imagestore.commands.bar import bar

        with bar(what, total) as drawn:
            yield drawn

    def _json(self, value: Any) -> None:
        click.echo(json.dumps(value, ensure_ascii=False))


class _Lines:
    def __init__(self, what: str, total: int | None) -> None:
        self._what = what
        self._total = f" of {total}" if total is not None else ""
        self._done = self._failed = 0
        self._next = time.monotonic() + QUIET_INTERVAL_S

    def advance(self, steps: int = 1, *, failed: int = 0) -> None:
        self._done += steps
        self._failed += failed
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + QUIET_INTERVAL_S
            click.echo(f"{self._what}: {self._done}{self._total}, {self._failed} failed", err=True)


def _plain(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, str):
        # Names are strangers' texts; what a terminal would obey is shown as escapes.
        return value if value.isprintable() else ascii(value)[1:-1]
    return json.dumps(value, ensure_ascii=False)
