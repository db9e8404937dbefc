"""What is to be imported: the pictures of a folder, or the lines of a list; read as they are needed."""

import csv
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from imagestore.errors import ImagestoreError, InvalidRequest
from imagestore.names import check_dkey, check_domain
from imagestore.strictjson import parse_json, parse_object

COLUMNS = ("file", "url", "domain", "dkey", "metadata")

_OF_THE_SYSTEM = {"thumbs.db", "ehthumbs.db", "desktop.ini"}
"""What Windows leaves in folders of pictures, in lower case; of other systems it begins with a dot."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Item:
    """One picture to import: a local file, or a URL for the server to fetch."""

    source: str
    """As the list has it, or the file's path in its folder: what a report names it by."""
    domain: str
    dkey: str | None = None
    path: Path = Path()
    """Of a file, unless there is a url."""
    url: str = ""
    metadata: Mapping[str, Any] | None = None

    @property
    def key(self) -> str:
        """Tells it from all others of an import, and is the same at the next start."""
        return f"{self.domain}/{self.dkey or ''}\n{self.source}"


@dataclass(frozen=True, slots=True)
class Unusable:
    """An entry that cannot be imported, and why."""

    source: str
    problem: str
    detail: str
    line: int = 0
    """Of a list, since two of its lines may have one source."""

    @property
    def key(self) -> str:
        return f"{self.line}\n{self.source}"


Entries = Iterator[Item | Unusable]


@dataclass(frozen=True, slots=True)
class Source:
    """A folder or a list. What names no domain goes into `domain`; every dkey gets `prefix` in front."""

    path: Path
    domain: str
    prefix: str = ""

    def __iter__(self) -> Entries:
        """Its pictures.

        Raises:
            InvalidRequest: a list cannot be read as one.
            OSError: the folder or the list cannot be read.
        """
        if self.path.is_dir():
            return self._of_folder()
        return self._of_list()

    def count(self) -> tuple[int, int]:
        """How many there are, and how many files or folders are left out; reads the names alone, or the
        list once. Raises as iterating does."""
        if not self.path.is_dir():
            return sum(1 for _ in self), 0
        left_out = total = 0
        for _, entry in _files(self.path, ""):
            total += 1
            left_out += _is_left_out(entry)
        return total - left_out, left_out

    def _of_folder(self) -> Entries:
        for name, entry in _files(self.path, ""):
            if not _is_left_out(entry):
                row = {"file": entry.path, "domain": self.domain, "dkey": name}
                yield self._checked(_printable(name), row, Path())

    def _of_list(self) -> Entries:
        read = _lines_of_json if self.path.suffix in (".jsonl", ".ndjson") else _rows_of_csv
        for number, row in read(self.path):
            if isinstance(row, InvalidRequest):
                yield Unusable(f"line {number}", row.name, row.detail, number)
                continue
            source = row.get("file") or row.get("url") or f"line {number}"
            yield self._checked(str(source), row, self.path.parent, number)

    def _checked(self, source: str, row: Mapping[str, Any], folder: Path, line: int = 0) -> Item | Unusable:
        """The item that a row describes; empty cells count as none."""
        try:
            file, url, domain, dkey = (_text(row, name) for name in ("file", "url", "domain", "dkey"))
            if (file is None) == (url is None):
                raise InvalidRequest("a line has either a file or a url")
            return Item(
                source=source,
                domain=check_domain(domain or self.domain),
                dkey=check_dkey(self.prefix + dkey) if dkey else None,
                path=folder / (file or ""),
                url=url or "",
                metadata=_metadata(row),
            )
        except ImagestoreError as error:
            return Unusable(source, error.name, error.detail, line)


def _files(folder: Path, relative: str) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Every file, by its path in the folder, and what is left out."""
    # Not sorted: a folder of a million files is never held as a list.
    with os.scandir(folder) as entries:
        for entry in entries:
            name = f"{relative}{entry.name}"
            if entry.is_dir(follow_symlinks=False) and not _is_left_out(entry):
                yield from _files(Path(entry.path), f"{name}/")
            elif entry.is_file() or _is_left_out(entry):
                yield name, entry


def _is_left_out(entry: os.DirEntry[str]) -> bool:
    """Hidden, or of the system; a hidden folder counts once."""
    return entry.name.startswith(".") or entry.name.lower() in _OF_THE_SYSTEM


def _rows_of_csv(path: Path) -> Iterator[tuple[int, Mapping[str, Any] | InvalidRequest]]:
    delimiter = "\t" if path.suffix == ".tsv" else ","
    # Spreadsheets put a byte order mark in front.
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file, delimiter=delimiter, restkey="")
        names = _translated(lambda: reader.fieldnames)
        unknown = set(names or []) - set(COLUMNS)
        if unknown or not {"file", "url"} & set(names or []):
            expected = f"expected a first line with some of {', '.join(COLUMNS)}"
            raise InvalidRequest(f"the list has the columns {', '.join(names or ['none'])[:200]}, {expected}")
        while (row := _translated(lambda: next(reader, None))) is not None:
            if "" in row:
                yield reader.line_num, InvalidRequest("the line has more cells than the first one")
            else:
                yield reader.line_num, row


def _lines_of_json(path: Path) -> Iterator[tuple[int, Mapping[str, Any] | InvalidRequest]]:
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                value = parse_json(line, what="the line")
                if not isinstance(value, dict):
                    raise InvalidRequest("the line is no JSON object")
                yield number, value
            except InvalidRequest as error:
                yield number, error


def _translated(read: Callable[[], T]) -> T:
    try:
        return read()
    except (csv.Error, UnicodeDecodeError) as error:
        raise InvalidRequest(f"the list is no CSV in UTF-8: {error}") from error


def _text(row: Mapping[str, Any], name: str) -> str | None:
    value = row.get(name)
    if value is not None and not isinstance(value, str):
        raise InvalidRequest(f"{name} is no text")
    return value or None


def _metadata(row: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The metadata of a row: JSON in a cell, or an object; an export calls it `user_metadata`."""
    value = row.get("metadata") or row.get("user_metadata") or None
    if isinstance(value, str):
        return parse_object(value, what="metadata")
    if value is not None and not isinstance(value, dict):
        raise InvalidRequest("metadata is no JSON object")
    return value


def _printable(name: str) -> str:
    """A file's name for a report; bytes that are no UTF-8 are shown as escapes."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
