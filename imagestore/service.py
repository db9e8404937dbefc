"""The use cases, wired: what an entrance (the API, a worker, a command) holds in its hand."""

import logging
import threading
from contextlib import closing, suppress
from dataclasses import dataclass

from imagestore.accounts import Accounts
from imagestore.bases import keeps_small_bases
from imagestore.cache import Cache, open_cache
from imagestore.catalog import Catalog
from imagestore.errors import DatabaseUnavailable, ImagestoreError
from imagestore.inventory import Inventory
from imagestore.jobqueue import JobQueue
from imagestore.keyring import Keyring
from imagestore.measuring import Measures, ask_all
from imagestore.overview import Overview
from imagestore.reading import Reads
from imagestore.render import Renderer, import_engines
from imagestore.settings import Settings
from imagestore.spool import Spool
from imagestore.storage import Storage, open_storages
from imagestore.taskcatalog import TaskCatalog
from imagestore.tasks import Tasks
from imagestore.upkeep.caretaking import Caretaker
from imagestore.upkeep.parts import Parts
from imagestore.uploadtokens import UploadTokens
from imagestore.workshop import Workshop, open_fetcher
from imagestore.writing import Writes

__all__ = ["ImageStore", "open_renderer", "prepare_database", "prepare_for_jobs"]

log = logging.getLogger(__name__)

DEBT_INTERVAL_S = 0.5
"""How often a process that owes the cache a record tries to pay."""

DEBT_PATROL_ROUNDS = 20
"""Every so many intervals debts of processes that died are looked for too."""

PREPARE_INTERVAL_S = 0.5
"""How often a process that started without the database looks for it."""


@dataclass(frozen=True)
class ImageStore:
    """The image store of one process."""

    settings: Settings
    spool: Spool
    reads: Reads
    writes: Writes
    tasks: Tasks
    workshop: Workshop
    upkeep: Parts
    caretaker: Caretaker
    keyring: Keyring
    upload_tokens: UploadTokens
    accounts: Accounts
    measures: Measures
    overview: Overview
    _adapters: "_Adapters"
    _stopping: threading.Event
    _for_one_job: bool

    @classmethod
    def open(cls, settings: Settings, *, for_one_job: bool = False) -> "ImageStore":
        """Wire everything; call it after any fork.

        `for_one_job`: it is meant for forks of this process, which called `prepare_for_jobs` or is a fork
        of one that did. Nothing connects before it is used, so that each fork uses and closes what it
        inherits; its decoders are forks of the fork then.

        Raises:
            ValueError: a URL of the settings cannot be used; the message names the variable.
            RuntimeError: the engines are not safe to use on this machine.
        """
        store = cls._made_of(_Adapters.open(settings, for_one_job=for_one_job), settings, for_one_job)
        if for_one_job:
            store._adapters.catalog.write_statements()
        else:
            threading.Thread(target=store._pay_debts, name="debts", daemon=True).start()
        return store

    @classmethod
    def _made_of(cls, own: "_Adapters", settings: Settings, for_one_job: bool) -> "ImageStore":
        spool = Spool(settings.spool_dir)
        reads = Reads(settings, own.catalog, own.storage, own.cache, own.renderer)
        tasks = Tasks(own.task_catalog, own.queue, own.storage, settings.presets)
        upkeep = Parts(settings, own.inventory, own.task_catalog, own.storage, own.cache, spool)
        writes = Writes(
            own.catalog,
            own.storage,
            own.cache,
            own.renderer,
            announce=tasks.render_presets_later,
            collect=upkeep.collector().purge,
            small_bases=keeps_small_bases(settings),
        )
        accounts = Accounts.open(settings)
        upload_tokens = UploadTokens.open(settings, writes)
        workshop = Workshop.open(
            settings,
            own.task_catalog,
            own.queue,
            own.catalog,
            own.storage,
            spool,
            reads,
            writes,
            chores=lambda: (accounts.sweep(), upload_tokens.sweep()),
        )
        return cls(
            settings=settings,
            spool=spool,
            reads=reads,
            writes=writes,
            tasks=tasks,
            workshop=workshop,
            accounts=accounts,
            upkeep=upkeep,
            caretaker=Caretaker(upkeep, own.queue),
            keyring=Keyring.open(settings),
            upload_tokens=upload_tokens,
            measures=own.measures(settings.render_processes),
            overview=Overview(accounts, own.task_catalog, own.storage, own.cache, own.queue),
            _adapters=own,
            _stopping=threading.Event(),
            _for_one_job=for_one_job,
        )

    def prepare(self) -> None:
        """Check that the engines refuse what they must, and create what a first start needs (tables).

        A database that does not answer is no reason not to start, since gunicorn gives up all of its
        processes when one cannot start: tables are looked at when it answers, and what needs them is
        DatabaseUnavailable till then.

        Raises:
            RuntimeError: the engines are not safe to use on this machine.
        """
        self._adapters.renderer.check()
        try:
            self._adapters.catalog.prepare()
        except DatabaseUnavailable as error:
            log.warning("starting without the database: %s", error.detail)
            threading.Thread(target=self._prepare_later, name="tables", daemon=True).start()

    def health(self) -> dict[str, bool]:
        """Whether `database`, `storage` and `cache` answer, each within a second."""
        own = self._adapters
        checks = {"database": own.catalog.check, "storage": own.storage.check, "cache": self._check_cache}
        answered = ask_all(checks)
        return {name: name in answered for name in checks}

    def close(self) -> None:
        """Stop the children and let go of every connection."""
        self._stopping.set()
        if not self._for_one_job:
            # Waits 0.08 s for the decoders to end (measured 2026-11). A process that ends now takes
            # them with it (decoder.py), and the next one removes their folder.
            self._adapters.renderer.close()
        self.workshop.close()
        self.keyring.close()
        self.upload_tokens.close()
        self.accounts.close()
        self._adapters.close()

    def _prepare_later(self) -> None:
        while not self._stopping.wait(PREPARE_INTERVAL_S):
            with suppress(DatabaseUnavailable):
                self._adapters.catalog.prepare()
                log.info("the database answers; its tables are as they should be")
                return

    def _check_cache(self) -> None:
        if not self._adapters.cache.check():
            raise ConnectionError("the cache does not answer")

    def _pay_debts(self) -> None:
        rounds, agreed, well = 0, False, False
        while not self._stopping.wait(DEBT_INTERVAL_S):
            try:
                agreed = agreed or self.reads.agree_with_cache()
                settled = self.writes.debts.settle(always=rounds % DEBT_PATROL_ROUNDS == 0)
                if settled:
                    log.info("told the cache of %d records that changed while it was away", settled)
                well = True
            except ImagestoreError as error:
                # Once an outage; at a first start the tables come a moment after this thread.
                if well:
                    log.warning("cannot look for owed records: %s", error.detail)
                well = False
            except Exception:
                # It goes on: what is owed has to be paid by somebody.
                log.exception("a bug in the payment of debts")
            rounds += 1


@dataclass(frozen=True)
class _Adapters:
    """What the use cases of one process are made of."""

    storage: Storage
    catalog: Catalog
    cache: Cache
    renderer: Renderer
    task_catalog: TaskCatalog
    queue: JobQueue
    inventory: Inventory

    @classmethod
    def open(cls, settings: Settings, *, for_one_job: bool) -> "_Adapters":
        pool_size = settings.database_pool
        return cls(
            open_storages(settings),
            Catalog(settings.database_url, pool_size=pool_size, quota=settings.quota),
            open_cache(settings),
            open_renderer(settings, for_one_job=for_one_job),
            TaskCatalog(settings.database_url, lease_s=settings.task_lease_s, pool_size=pool_size),
            JobQueue(settings.queue_url),
            Inventory(settings.database_url),
        )

    def measures(self, render_processes: int) -> Measures:
        """What each of them says."""
        parts = (self.task_catalog, self.inventory, self.storage, self.cache, self.queue)
        return Measures(*parts, render_processes=render_processes)

    def close(self) -> None:
        """All but the renderer, whose decoders may be left to themselves."""
        self.queue.close()
        self.inventory.close()
        self.task_catalog.close()
        self.cache.close()
        self.storage.close()
        self.catalog.close()


def open_renderer(settings: Settings, *, for_one_job: bool = False) -> Renderer:
    """A renderer of this machine; its decoders start when they are needed.

    Raises:
        RuntimeError: the engines are not safe to use on this machine.
    """
    return Renderer(
        engine=settings.image_engine,
        processes=settings.render_processes,
        limits=settings.limits,
        encoding=settings.encoding,
        queue=settings.render_queue,
        queue_timeout_s=settings.render_queue_timeout_s,
        scratch=settings.data_dir / "run" / "scratch",
        slots=settings.data_dir / "run" / "slots",
        start_method="fork" if for_one_job else "forkserver",
    )


def prepare_database(settings: Settings) -> None:
    """Create or change tables as this version needs them; of many that call it at once, one does.

    Raises:
        DatabaseUnavailable: it does not answer.
    """
    with closing(Catalog(settings.database_url, pool_size=1)) as catalog:
        catalog.prepare()


def prepare_for_jobs(settings: Settings) -> None:
    """Do once what every fork of this process would do again: import the engines and what the store
    of originals needs, and read the certificate authorities (50 ms, measured 2026-11).

    Raises:
        ValueError: a URL of the settings, or FETCH_ALLOW, cannot be used.
    """
    import_engines(settings.image_engine)
    open_storages(settings).close()
    open_fetcher(settings)
