"""Collection: what no row needs goes, and nothing else, whatever happens at the same time."""

import io
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest

from imagestore.cache import Cache
from imagestore.engines import Inspection
from imagestore.errors import DatabaseUnavailable, OriginalMissing
from imagestore.storage import Storage
from imagestore.upkeep.collecting import Collected, Collector
from imagestore.writing import Writes
from tests import pictures
from tests.servers import ROOT, wait_until
from tests.swift import storage_url
from tests.upkeep.conftest import BUCKET
from tests.upkeep.house import A_DAY_S, FACTS, House, content_of, house


def collected(home: House, *, grace_s: float | None = None, dry_run: bool = False) -> Collected:
    *_, done = home.parts.collector(grace_s).run(dry_run=dry_run)
    return done


def age_s(home: House, sha256: str) -> float:
    """By the clock of the store, which on S3 counts whole seconds."""
    return (datetime.now(UTC) - home.storage.stat(sha256).modified).total_seconds()


@pytest.fixture(params=["folder", "bucket", "mem://"])
def any_home(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[House]:
    url = {"folder": f"{tmp_path}/originals"}.get(request.param, request.param)
    if request.param == "bucket":
        url = storage_url(request.getfixturevalue("s3"), BUCKET, f"run/{tmp_path.name}")
    with house(tmp_path / "home", STORAGE_URL=url) as made:
        yield made


def test_only_what_no_row_and_no_upload_needs_goes(any_home: House) -> None:
    kept = any_home.store(b"kept", "kept").sha256
    awaited = any_home.put(b"awaited")
    any_home.expect_upload(awaited)
    unneeded = any_home.put(b"unneeded")
    wait_until(lambda: age_s(any_home, unneeded) > 0, what="some age")

    done = collected(any_home, grace_s=0)

    assert any_home.stored() == {kept, awaited}
    assert (done.examined, done.removed, done.bytes) == (3, 1, len(b"unneeded"))
    assert unneeded not in {file.sha256 for file in any_home.storage.shelved(".trash")}


def test_files_younger_than_the_grace_period_stay(home: House) -> None:
    young, old = home.put(b"young", age_s=A_DAY_S - 60), home.put(b"old", age_s=A_DAY_S + 60)

    done = collected(home)

    assert home.stored() == {young}
    assert (done.removed, done.young) == (1, 1)
    assert not home.path(old).exists()


def test_dry_run_counts_and_removes_nothing(home: House) -> None:
    home.put(b"old", age_s=2 * A_DAY_S)
    leftover = home.settings.spool_dir / "dead.upload"
    leftover.touch()
    os.utime(leftover, (1, 1))

    done = collected(home, dry_run=True)

    assert (done.removed, done.bytes) == (1, 3)
    assert len(home.stored()) == 1
    assert leftover.exists()


def test_leftovers_of_dead_processes_go(home: House) -> None:
    root = home.storage.root
    assert root is not None
    old = [
        home.settings.spool_dir / "dead.upload",
        home.settings.spool_dir / "original-dead",
        root / ".tmp/dead",
    ]
    for path in old:
        path.parent.mkdir(exist_ok=True)
        path.touch()
        os.utime(path, (1, 1))
    young = home.settings.spool_dir / "alive.upload"
    young.touch()

    done = collected(home)

    assert done.leftovers == 3
    assert not any(path.exists() for path in old)
    assert young.exists()


def test_limit_bounds_one_round(home: House) -> None:
    for number in range(5):
        home.put(b"%d" % number, age_s=2 * A_DAY_S)

    *_, done = home.parts.collector().run(limit=2)

    assert done.removed == 2
    assert len(home.stored()) == 3


def test_row_that_comes_while_its_file_leaves_gets_it_back(any_home: House) -> None:
    body = b"in time"
    sha256 = any_home.put(body)
    wait_until(lambda: age_s(any_home, sha256) > 0, what="some age")
    shelve = any_home.storage.shelve

    class Late(Storage):
        """The row is committed between the look at the rows and the end of the file."""

        def __getattribute__(self, name: str) -> Any:
            return shelve_late if name == "shelve" else getattr(any_home.storage, name)

    def shelve_late(sha256: str, shelf: Any) -> None:
        any_home.catalog.insert("demo", "late", content_of(body), FACTS, {}, {})
        shelve(sha256, shelf)

    late = Late(None, any_home.settings.spool_dir)
    collector = Collector(any_home.parts.inventory, late, any_home.parts.spool, grace_s=0)

    *_, done = collector.run()

    assert (done.removed, done.restored) == (0, 1)
    assert any_home.storage.size(sha256) == len(body)


def test_collection_that_was_cut_off_is_brought_to_its_end_by_the_next(home: House) -> None:
    needed, unneeded = home.store(b"needed", "needed").sha256, home.put(b"unneeded")
    for sha256 in (needed, unneeded):
        home.storage.shelve(sha256, ".trash")

    done = collected(home)

    assert home.stored() == {needed}
    assert list(home.storage.shelved(".trash")) == []
    assert done.restored == 1


def test_without_the_database_nothing_is_lost(home: House, monkeypatch: pytest.MonkeyPatch) -> None:
    home.put(b"old", age_s=2 * A_DAY_S)

    def away(sha256s: object) -> set[str]:
        raise DatabaseUnavailable("the database does not answer")

    monkeypatch.setattr(home.parts.inventory, "needed", away)

    with pytest.raises(DatabaseUnavailable):
        collected(home)

    assert len(home.stored()) == 1


def test_damaged_copy_goes_when_a_whole_one_is_there_and_not_before(home: House) -> None:
    healed, lost = home.store(b"healed", "a").sha256, home.store(b"lost", "b").sha256
    for sha256 in (healed, lost):
        home.damage(sha256, b"damage")
        home.storage.shelve(sha256, ".quarantine")
    home.put(b"healed")

    collected(home, grace_s=0)

    assert [file.sha256 for file in home.storage.shelved(".quarantine")] == [lost]


def test_purge_removes_at_once_unless_a_row_needs_it(home: House) -> None:
    kept, gone = home.store(b"kept", "kept").sha256, home.put(b"gone")

    purged = [home.parts.collector().purge(sha256) for sha256 in (kept, gone, gone)]

    assert purged == [False, True, True]
    assert home.stored() == {kept}
    assert list(home.storage.shelved(".trash")) == []


COLLECT = """if True:
    import os, sys
    from imagestore.settings import Settings
    from imagestore.upkeep.parts import open_parts
    with open_parts(Settings.from_env(os.environ)) as parts:
        print("ready", flush=True)
        while not os.path.exists(sys.argv[1]):
            for _ in parts.collector(0).run():
                pass
"""


def test_uploads_during_collections_without_any_grace_lose_nothing(home: House, tmp_path: Path) -> None:
    bodies = [pictures.encode(pictures.plain((shade, 0, 0)), "png").data for shade in (10, 90, 170)]
    cache = Cache("redis://127.0.0.1:1/0", record_ttl_s=60, picture_ttl_s=60, fields_max=4)
    writes = Writes(home.catalog, home.storage, cache, cast(Any, Inspector()))
    stop = tmp_path / "stop"
    command = [sys.executable, "-c", COLLECT, str(stop)]
    env = {"PATH": os.environ["PATH"], **home.env}
    faults: list[str] = []

    def client(number: int) -> None:
        for turn in range(20):
            body = bodies[(number + turn) % 3]
            with home.parts.spool.receive(io.BytesIO(body), max_bytes=10**6) as spooled:
                record = writes.upload(spooled, "demo", f"{number}-{turn}", None).record
            try:
                # A collection that met the row puts the file back within its step.
                wait_until(partial(is_readable, home, record.sha256, body), what="the original is there")
            except TimeoutError as error:
                faults.append(str(error))
            if turn < 19:
                writes.delete(record.id)

    with subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "ready\n"
        clients = [threading.Thread(target=client, args=(number,)) for number in range(3)]
        for each in clients:
            each.start()
        while any(each.is_alive() for each in clients):
            collected(home, grace_s=0)
        stop.touch()
        assert other.wait(30) == 0

    collected(home, grace_s=0)
    assert faults == []
    assert home.stored() == {record.sha256 for record in home.catalog.page(0, 10)}
    assert len(home.stored()) == 3


class Inspector:
    """Says of every picture what these are."""

    def inspect(self, path: Path, *, truncated_too: bool, with_base: bool) -> tuple[Any, Inspection]:
        return FACTS, Inspection({})


def is_readable(home: House, sha256: str, body: bytes) -> bool:
    try:
        with home.storage.read(sha256) as stream:
            return stream.read() == body
    except OriginalMissing:
        return False
