"""Database, store and cache of an image store, without its servers, for the tests of upkeep."""

import contextlib
import hashlib
import io
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from imagestore.catalog import Catalog
from imagestore.records import Content, Facts, ImageRecord
from imagestore.settings import Settings
from imagestore.storage import Storage
from imagestore.taskrecords import NewTask
from imagestore.upkeep.parts import Parts, open_parts

FACTS = Facts("png", 3, 2)
A_DAY_S = 24 * 3600

NO_REDIS = "redis://127.0.0.1:1/0"
"""Nobody listens there: the cache is away."""


@dataclass(frozen=True)
class House:
    """`parts` are what the commands open; the rest makes rows and breaks files."""

    folder: Path
    env: dict[str, str]
    settings: Settings
    parts: Parts
    catalog: Catalog

    @property
    def storage(self) -> Storage:
        return self.parts.storage

    def store(self, body: bytes, dkey: str, *, age_s: float = 0) -> ImageRecord:
        """An image with its file."""
        self.put(body, age_s=age_s)
        return self.catalog.insert("demo", dkey, content_of(body), FACTS, {}, {})

    def put(self, body: bytes, *, age_s: float = 0) -> str:
        """A file alone; its hash."""
        content = content_of(body)
        with self.parts.spool.receive(io.BytesIO(body), max_bytes=2**30) as spooled:
            self.storage.put(content.sha256, spooled.path)
        if age_s:
            moment = time.time() - age_s
            os.utime(self.path(content.sha256), (moment, moment))
        return content.sha256

    def expect_upload(self, sha256: str) -> None:
        """A task whose bytes these are."""
        self.parts.tasks.insert(NewTask("upload", "demo", "later", sha256=sha256), queued=False)

    def path(self, sha256: str) -> Path:
        """Where a local store has an original."""
        assert self.storage.root is not None
        return self.storage.root / sha256[:2] / sha256[2:4] / sha256

    def damage(self, sha256: str, body: bytes) -> None:
        """Other bytes in its place, as a disk may give them."""
        path = self.path(sha256)
        path.unlink()
        path.write_bytes(body)

    def stored(self) -> set[str]:
        return {file.sha256 for file in self.storage.walk()}


@contextlib.contextmanager
def house(folder: Path, **env: str) -> Iterator[House]:
    """On SQLite and a folder, unless `env` says otherwise, without Redis."""
    folder.mkdir(parents=True, exist_ok=True)
    env = {"DATA_DIR": str(folder / "data"), "REDIS_URL": NO_REDIS, **env}
    settings = Settings.from_env(env)
    settings.spool_dir.mkdir(parents=True, exist_ok=True)
    with contextlib.closing(Catalog(settings.database_url)) as catalog:
        catalog.prepare()
        with open_parts(settings) as parts:
            yield House(folder, env, settings, parts, catalog)


def content_of(body: bytes) -> Content:
    md5 = hashlib.md5(body, usedforsecurity=False).hexdigest()
    return Content(hashlib.sha256(body).hexdigest(), md5, len(body))
