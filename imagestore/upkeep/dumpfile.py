"""A dump of the database on disk: `<table>.jsonl.gz` for each table, and `manifest.json`, written last."""

import gzip
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from imagestore import __version__
from imagestore.errors import InvalidRequest
from imagestore.tabledump import COLUMNS, Row, Tables

_MANIFEST = "manifest.json"
_DRAFT = ".draft"


@dataclass(frozen=True, slots=True)
class Table:
    """One table in a dump: how many rows, the hash of its file, and its columns."""

    rows: int
    sha256: str
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Dump:
    """A dump in a folder, named by its moment (UTC): `20261123T210000Z`."""

    folder: Path
    created: str
    version: str
    tables: Mapping[str, Table]

    @classmethod
    def write(cls, tables: Tables, folder: Path) -> "Dump":
        """Dump everything into the folder of a draft below `folder`; `publish` makes it count.

        Raises:
            DatabaseUnavailable
            OSError: the disk is full, for instance.
        """
        draft = folder / _DRAFT
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True)
        draft.chmod(0o700)
        # Before the first row is read: every change after this moment may be missing.
        created = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        found: dict[str, Table] = {}

        def take(name: str, rows: Iterator[Row]) -> None:
            path, count = _path(draft, name), 0
            with gzip.open(path, "wt", compresslevel=5, encoding="utf-8") as file:
                for row in rows:
                    file.write(json.dumps(row, ensure_ascii=False) + "\n")
                    count += 1
            found[name] = Table(count, _sha256(path), COLUMNS[name])

        tables.read(take)
        return cls(draft, created, __version__, found)

    def publish(self) -> "Dump":
        """Make it durable under its name, beside the older ones."""
        manifest = {
            "created": self.created,
            "version": self.version,
            "tables": {name: asdict(table) for name, table in self.tables.items()},
        }
        with (self.folder / _MANIFEST).open("w") as file:
            json.dump(manifest, file, indent=1)
        for path in self.folder.iterdir():
            _sync(path)
        _sync(self.folder)
        target = self.folder.with_name(self.created)
        shutil.rmtree(target, ignore_errors=True)
        self.folder.rename(target)
        _sync(target.parent)
        return Dump(target, self.created, self.version, self.tables)

    @classmethod
    def all(cls, folder: Path) -> list["Dump"]:
        """Those in `folder` that are whole, the oldest first."""
        return [_load(path.parent) for path in sorted(folder.glob(f"[0-9]*/{_MANIFEST}"))]

    def rows(self, table: str) -> Iterator[dict[str, Any]]:
        """The rows of a table; none of one that the dump's version did not have."""
        if table not in self.tables:
            return
        with gzip.open(_path(self.folder, table), "rt", encoding="utf-8") as file:
            for line in file:
                yield json.loads(line)

    def originals(self) -> Iterator[tuple[str, int | None]]:
        """Hash and bytes of every original that the rows need, some more than once."""
        for row in self.rows("image_info"):
            yield row["sha256"], row["size"]
        for row in self.rows("image_task"):
            if row["kind"] == "upload" and row["flag"] == "created" and row["sha256"]:
                yield row["sha256"], None

    def check(self) -> None:
        """See whether it can be read into a database of this version.

        Raises:
            InvalidRequest: a file was changed, or another version made it.
        """
        for name, table in self.tables.items():
            if _sha256(_path(self.folder, name)) != table.sha256:
                raise InvalidRequest(f"the dump {self.created} is damaged: table {name} has other bytes")
            if set(table.columns) != set(COLUMNS.get(name, ())):
                raise InvalidRequest(
                    f"the dump {self.created} is of version {self.version}, whose table {name} has other "
                    "columns; restore it with that version, and upgrade then"
                )

    def remove(self) -> None:
        """Delete it."""
        shutil.rmtree(self.folder)


def _load(folder: Path) -> Dump:
    manifest = json.loads((folder / _MANIFEST).read_text())
    tables = {
        name: Table(table["rows"], table["sha256"], tuple(table["columns"]))
        for name, table in manifest["tables"].items()
    }
    return Dump(folder, manifest["created"], manifest["version"], tables)


def _path(folder: Path, table: str) -> Path:
    return folder / f"{table}.jsonl.gz"


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
