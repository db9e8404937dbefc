"""The use cases, wired: what an entrance (the API, a worker, a command) holds in its hand."""

import logging
import threading
from contextlib import closing, suppress
from dataclasses import dataclass

from imagestore.accounts import Accounts
from imagestore.cache import Cache
from imagestore.catalog import Catalog
from imagestore.errors import DatabaseUnavailable, ImagestoreError
from imagestore.inventory import Inventory
from imagestore.jobqueue import JobQueue
from imagestore.keyring import Keyring
from imagestore.measuring import Measures, ask_all
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
    _catalog: Catalog
    _task_catalog: TaskCatalog
    _queue: JobQueue
    _storage: Storage
    _cache: Cache
    _renderer: Renderer
    _stopping: threading.Event
    _for_one_job: bool

    @classmethod
    def open(cls, settings: Settings, *, for_one_job: bool = False) -> "ImageStore":
        """Connect everything; call it after any fork.

        `for_one_job`: this process lives for one job, and is a fork of one that called
        `prepare_for_jobs`; its decoders are forks of itself then.

        Raises:
            ValueError: a URL of the settings cannot be used; the message names the variable.
            RuntimeError: the engines are not safe to use on this machine.
        """
        storage = open_storages(
            settings.storage_url, settings.storage_fallback_url, spool_dir=settings.spool_dir
        )
        catalog = Catalog(settings.database_url, pool_size=settings.database_pool, quota=settings.quota)
        cache = Cache(
            settings.redis_url,
            record_ttl_s=settings.record_ttl_s,
            picture_ttl_s=settings.cache_ttl_s,
            fields_max=settings.cache_fields_max,
            bytes_max=settings.cache_pictures_max_bytes,
        )
        renderer = open_renderer(settings, for_one_job=for_one_job)
        reads = Reads(settings, catalog, storage, cache, renderer)
        task_catalog = TaskCatalog(
            settings.database_url, lease_s=settings.task_lease_s, pool_size=settings.database_pool
        )
        queue = JobQueue(settings.queue_url)
        tasks = Tasks(task_catalog, queue, storage, settings.presets)
        spool = Spool(settings.spool_dir)
        upkeep = Parts(settings, Inventory(settings.database_url), task_catalog, storage, cache, spool)
        writes = Writes(
            catalog,
            storage,
            cache,
            renderer,
            announce=tasks.render_presets_later,
            collect=upkeep.collector().purge,
        )
        accounts = Accounts.open(settings)
        upload_tokens = UploadTokens.open(settings, writes)
        workshop = Workshop.open(
            settings,
            task_catalog,
            queue,
            catalog,
            storage,
            spool,
            reads,
            writes,
            chores=lambda: (accounts.sweep(), upload_tokens.sweep()),
        )
        store = cls(
            settings=settings,
            spool=spool,
            reads=reads,
            writes=writes,
            tasks=tasks,
            workshop=workshop,
            accounts=accounts,
            upkeep=upkeep,
            caretaker=Caretaker(upkeep, queue),
            keyring=Keyring.open(settings),
            upload_tokens=upload_tokens,
            measures=Measures(
                task_catalog,
                upkeep.inventory,
                storage,
                cache,
                queue,
                render_processes=settings.render_processes,
            ),
            _catalog=catalog,
            _task_catalog=task_catalog,
            _queue=queue,
            _storage=storage,
            _cache=cache,
            _renderer=renderer,
            _stopping=threading.Event(),
            _for_one_job=for_one_job,
        )
        if not for_one_job:
            threading.Thread(target=store._pay_debts, name="debts", daemon=True).start()
        return store

    def prepare(self) -> None:
        """Check that the engines refuse what they must, and create what a first start needs (tables).

        A database that does not answer is no reason not to start, since gunicorn gives up all of its
        processes when one cannot start: tables are looked at when it answers, and what needs them is
        DatabaseUnavailable till then.

        Raises:
            RuntimeError: the engines are not safe to use on this machine.
        """
        self._renderer.check()
        try:
            self._catalog.prepare()
        except DatabaseUnavailable as error:
            log.warning("starting without the database: %s", error.detail)
            threading.Thread(target=self._prepare_later, name="tables", daemon=True).start()

    def health(self) -> dict[str, bool]:
        """Whether `database`, `storage` and `cache` answer, each within a second."""
        checks = {"database": self._catalog.check, "storage": self._storage.check, "cache": self._check_cache}
        answered = ask_all(checks)
        return {name: name in answered for name in checks}

    def close(self) -> None:
        """Stop the children and let go of every connection."""
        self._stopping.set()
        if not self._for_one_job:
            # Waits 0.08 s for the decoders to end (measured 2026-11). A process that ends now takes
            # them with it (decoder.py), and the next one removes their folder.
            self._renderer.close()
        self.workshop.close()
        self.keyring.close()
        self.upload_tokens.close()
        self.accounts.close()
        self._queue.close()
        self.upkeep.inventory.close()
        self._task_catalog.close()
        self._cache.close()
        self._storage.close()
        self._catalog.close()

    def _prepare_later(self) -> None:
        while not self._stopping.wait(PREPARE_INTERVAL_S):
            with suppress(DatabaseUnavailable):
                self._catalog.prepare()
                log.info("the database answers; its tables are as they should be")
                return

    def _check_cache(self) -> None:
        if not self._cache.check():
            raise ConnectionError("the cache does not answer")

    def _pay_debts(self) -> None:
        rounds, agreed, well = 0, False, False
        while not self._stopping.wait(DEBT_INTERVAL_S):
            try:
                agreed = agreed or self.reads.agree_with_cache()
                settled = self.writes.settle_debts(always=rounds % DEBT_PATROL_ROUNDS == 0)
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
    open_storages(settings.storage_url, settings.storage_fallback_url, spool_dir=settings.spool_dir).close()
    open_fetcher(settings)
