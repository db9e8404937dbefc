"""What the works of upkeep are made of, opened without the rest of an image store."""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from imagestore.cache import Cache, open_cache
from imagestore.inventory import Inventory
from imagestore.settings import Settings
from imagestore.spool import Spool
from imagestore.storage import Storage, open_storage, open_storages
from imagestore.tabledump import Tables
from imagestore.taskcatalog import TaskCatalog
from imagestore.upkeep.collecting import Collector
from imagestore.upkeep.healing import Healer
from imagestore.upkeep.survey import Survey


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts, for commands."""

    settings: Settings
    inventory: Inventory
    tasks: TaskCatalog
    storage: Storage
    cache: Cache
    spool: Spool

    def survey(self, *, deep: bool, readers: int = 4) -> Survey:
        return Survey(
            self.inventory, self.storage, grace_s=self.settings.upkeep.gc_grace_s, deep=deep, readers=readers
        )

    def collector(self, grace_s: float | None = None) -> Collector:
        grace_s = self.settings.upkeep.gc_grace_s if grace_s is None else grace_s
        return Collector(self.inventory, self.storage, self.spool, grace_s=grace_s)

    def healer(self, others: Sequence[Storage] = ()) -> Healer:
        return Healer(self.inventory, self.storage, self.cache, self.tasks, self.spool, others)


@contextlib.contextmanager
def open_parts(settings: Settings) -> Iterator[Parts]:
    """The parts that these settings name, closed after the block. Nothing connects before it is used.

    Raises:
        ValueError: a URL of the settings cannot be used.
    """
    with contextlib.ExitStack() as stack:
        inventory = stack.enter_context(contextlib.closing(Inventory(settings.database_url)))
        tasks = stack.enter_context(contextlib.closing(TaskCatalog(settings.database_url)))
        storage = stack.enter_context(contextlib.closing(open_storages(settings)))
        cache = stack.enter_context(contextlib.closing(open_cache(settings)))
        yield Parts(settings, inventory, tasks, storage, cache, Spool(settings.spool_dir))


@contextlib.contextmanager
def open_tables(settings: Settings) -> Iterator[Tables]:
    """All rows of the database, closed after the block."""
    with contextlib.closing(Tables(settings.database_url)) as tables:
        yield tables


@contextlib.contextmanager
def other_store(url: str, settings: Settings) -> Iterator[Storage]:
    """A further store, closed after the block.

    Raises:
        ValueError: the URL cannot be used.
    """
    with contextlib.closing(open_storage(url, spool_dir=settings.spool_dir)) as storage:
        yield storage
