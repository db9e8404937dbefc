"""Whether everything that a server depends on is there and set up well: what `imagestore doctor` asks.

Each check opens what it needs by itself, so that one fault hides no other.
"""

import contextlib
import hashlib
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from imagestore.accounts import open_accounts
from imagestore.cache import open_cache
from imagestore.catalog import Catalog
from imagestore.errors import ImagestoreError
from imagestore.inventory import Inventory
from imagestore.jobqueue import JobQueue
from imagestore.overview import Overview
from imagestore.redisclient import named_masters
from imagestore.service import open_renderer
from imagestore.settings import Settings
from imagestore.storage import open_storages
from imagestore.taskcatalog import TaskCatalog

State = Literal["ok", "warning", "fault", "skipped"]

EVICTION = "volatile-lfu"
"""With it a full Redis pushes out pictures, which have a life, and never a job, which has none."""

LEAST_FREE = 0.02, 0.10
"""Parts of a disk that are left when it is a fault, and when it is a warning."""

REDIS_TIMEOUT_S = 2
"""Longer than a server waits: a slow Redis is to be told from one that is away."""

CLOCK_TOLERANCE_S = 2.0
"""Leases and lives are longer; times in records are compared across machines."""

_ADVICE = {
    "database": "look at DATABASE_URL, and whether the database runs and lets this user in",
    "storage": "look at STORAGE_URL: the folder or bucket must be there, and writable for this user",
    "engines": "install what is missing as dev/install-packages does; policy.xml must be the one shipped",
    "redis": "look at REDIS_URL, and whether Redis runs; until then everything works, only slower",
    "queue": "look at QUEUE_URL, and whether Redis runs; until then tasks wait in the database",
}


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at: what was found, and what to do about it."""

    name: str
    state: State
    found: str
    advice: str = ""


def examine(settings: Settings) -> Iterator[Check]:
    """Look at database, store, engines, Redis, workers, disks and clocks, one after the other.

    Nothing is changed, but for a file of 32 bytes that is put into the store and taken out again.
    """
    for name, look in _LOOKS.items():
        try:
            yield from look(settings)
        except (ImagestoreError, ValueError, RuntimeError, OSError) as error:
            yield Check(name, "fault", _message(error), _ADVICE.get(name, ""))


def _database(settings: Settings) -> Iterator[Check]:
    with closing(Catalog(settings.database_url, pool_size=1)) as catalog:
        catalog.check()
        waiting = catalog.waiting_migrations()
        if waiting is None:
            yield Check("database", "warning", "it has no tables yet", "they are made when a server starts")
        elif waiting:
            advice = "run `python -m worker migrate`, as every start of a server does"
            yield Check(
                "database", "fault", f"its tables are of an older version: {', '.join(waiting)}", advice
            )
        else:
            yield Check("database", "ok", f"{_scheme(settings.database_url)}, tables up to date")


def _storage(settings: Settings) -> Iterator[Check]:
    probe = secrets.token_bytes(32)
    name = hashlib.sha256(probe).hexdigest()
    settings.spool_dir.mkdir(parents=True, exist_ok=True)
    file = settings.spool_dir / f"doctor-{name[:16]}"
    with closing(open_storages(settings)) as storage:
        try:
            file.write_bytes(probe)
            storage.put(name, file)
            size = storage.size(name)
            storage.remove(name)
        finally:
            file.unlink(missing_ok=True)
        if size != len(probe):
            raise RuntimeError(f"a file of {len(probe)} bytes came back as {size}")
    yield Check("storage", "ok", f"{_scheme(settings.storage_url)}, a file was written and removed")


def _owner(settings: Settings) -> Iterator[Check]:
    """Whether the store belongs to this database; nothing if one of the two is away, which is said above."""
    with contextlib.suppress(ImagestoreError, ValueError), contextlib.ExitStack() as opened:
        inventory = opened.enter_context(closing(Inventory(settings.database_url, pool_size=1)))
        storage = opened.enter_context(closing(open_storages(settings)))
        known, owners = inventory.known_identity(), set(storage.owners()) - {None}
        if owners - {known}:
            advice = "look at DATABASE_URL and STORAGE_URL; `imagestore gc --anyway` makes it this one's"
            yield Check("owner", "fault", "the originals belong to another database", advice)
        elif owners:
            yield Check("owner", "ok", "the originals belong to this database")


def _engines(settings: Settings) -> Iterator[Check]:
    with closing(open_renderer(settings)) as renderer:
        renderer.check()
    yield Check("engines", "ok", f"{settings.image_engine}: a decoder started, and policy.xml holds")


def _redis(settings: Settings) -> Iterator[Check]:
    for name, url in {"redis": settings.redis_url, "queue": settings.queue_url}.items():
        if name == "redis" or url != settings.redis_url:
            yield from _sentinels(name, url)
            yield from _one_redis(name, url, settings)


def _sentinels(name: str, url: str) -> Iterator[Check]:
    named = named_masters(url, timeout_s=REDIS_TIMEOUT_S)
    masters = set(named.values()) - {None}
    silent = [place for place, master in named.items() if master is None]
    if silent:
        advice = (
            "start them, or look at the login and the master's name; most of them have to agree on a failover"
        )
        state: State = "warning" if masters else "fault"
        yield Check(f"{name} sentinels", state, f"no master is named by {', '.join(silent)}", advice)
    elif len(masters) > 1:
        advice = "let them see each other; until then readers may ask a Redis that is no master any more"
        yield Check(f"{name} sentinels", "fault", f"they name {len(masters)} different masters", advice)
    elif masters:
        yield Check(f"{name} sentinels", "ok", f"all {len(named)} name {masters.pop()}")


def _one_redis(name: str, url: str, settings: Settings) -> Iterator[Check]:
    with closing(open_cache(settings, url, timeout_s=REDIS_TIMEOUT_S)) as cache:
        setup, usage = cache.setup(), cache.usage()
        if setup is None or usage is None:
            yield Check(name, "fault", "it does not answer", _ADVICE[name])
            return
        bound = f"{usage.used >> 20} of {usage.bound >> 20} MiB" if usage.bound else "no bound"
        yield Check(name, "ok", f"it answers; {bound}, {setup.policy}")
    if not usage.bound:
        advice = "set `maxmemory`, so that pictures do not take all memory of the machine"
        yield Check(f"{name} memory", "warning", "it has no bound", advice)
    elif not setup.keeps_jobs:
        advice = f"set `maxmemory-policy {EVICTION}`; with {setup.policy} a full Redis drops jobs or refuses"
        yield Check(f"{name} policy", "fault", f"maxmemory-policy is {setup.policy}", advice)
    if not setup.append_only:
        advice = "set `appendonly yes`; without it a crash loses jobs, which the sweeper then has to find"
        yield Check(f"{name} log", "warning", "it keeps no append-only file", advice)
    skew_s = abs((datetime.now(UTC) - setup.time).total_seconds())
    if skew_s > CLOCK_TOLERANCE_S:
        advice = "let both machines ask a time server (chrony, systemd-timesyncd)"
        yield Check("clock", "fault", f"Redis' clock is {skew_s:.0f} s away from this machine's", advice)
    else:
        yield Check("clock", "ok", f"{skew_s:.1f} s between {name} and this machine")


def _workers(settings: Settings) -> Iterator[Check]:
    with closing(JobQueue(settings.queue_url)) as queue:
        waiting, workers = sum(backlog.jobs for backlog in queue.backlogs()), queue.workers()
    if workers:
        yield Check("workers", "ok", f"{workers} at work, {waiting} jobs wait")
    else:
        advice = "start `python -m worker`; without one, downloads and presets wait"
        yield Check("workers", "fault", f"none has shown itself lately, {waiting} jobs wait", advice)


def _disks(settings: Settings) -> Iterator[Check]:
    folders = {"data disk": settings.data_dir}
    if "://" not in settings.storage_url and not _same_disk(Path(settings.storage_url), settings.data_dir):
        folders["storage disk"] = Path(settings.storage_url)
    for name, folder in folders.items():
        usage = shutil.disk_usage(folder)
        part = usage.free / usage.total
        low, few = LEAST_FREE
        state: State = "fault" if part < low else "warning" if part < few else "ok"
        advice = "make room: `imagestore gc`, a larger disk, or another STORAGE_URL" if state != "ok" else ""
        yield Check(name, state, f"{usage.free / 2**30:.1f} GiB free, {part:.0%}", advice)


_LOOKS: dict[str, Callable[[Settings], Iterator[Check]]] = {
    "database": _database,
    "storage": _storage,
    "owner": _owner,
    "engines": _engines,
    "redis": _redis,
    "queue": _workers,
    "disks": _disks,
}


@contextmanager
def open_overview(settings: Settings) -> Iterator[Overview]:
    """An overview alone, without the rest of an image store."""
    with ExitStack() as stack:
        yield Overview(
            stack.enter_context(open_accounts(settings)),
            stack.enter_context(closing(TaskCatalog(settings.database_url, pool_size=1))),
            stack.enter_context(closing(open_storages(settings))),
            stack.enter_context(closing(open_cache(settings, timeout_s=REDIS_TIMEOUT_S))),
            stack.enter_context(closing(JobQueue(settings.queue_url))),
        )


def _same_disk(one: Path, other: Path) -> bool:
    return os.stat(one).st_dev == os.stat(other).st_dev


def _scheme(url: str) -> str:
    """What kind of thing a URL names; the rest may hold secrets."""
    return url.partition("://")[0] if "://" in url else "a folder"


def _message(error: Exception) -> str:
    if isinstance(error, ImagestoreError):
        return error.detail
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return str(error)
