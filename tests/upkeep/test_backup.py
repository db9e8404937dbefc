"""Backup and restore: what comes back is what was there, whatever was written meanwhile."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from imagestore.errors import InvalidRequest
from imagestore.tabledump import Tables
from imagestore.taskrecords import NewTask
from imagestore.upkeep.backup import Backup, Progress
from imagestore.upkeep.dumpfile import Dump
from imagestore.upkeep.fsck import check
from tests.mariadb import MariaDB
from tests.servers import ROOT
from tests.upkeep.house import A_DAY_S, House, house


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "backup"


def back_up(home: House, folder: Path) -> Progress:
    with closing(Tables(home.settings.database_url)) as tables:
        *_, state = Backup(folder).make(tables, home.parts.inventory, home.storage, home.settings.data_dir)
    return state


def restore(home: House, folder: Path, moment: str | None = None) -> Progress:
    with closing(Tables(home.settings.database_url)) as tables:
        backup, settings = Backup(folder), home.settings
        *_, state = backup.restore(tables, home.storage, settings.spool_dir, settings.data_dir, moment)
    return state


def imagestore(of: House, command: str, folder: Path, *options: str) -> tuple[int, dict[str, Any]]:
    """A command's exit status, and the last of what it says."""
    env = {"PATH": os.environ["PATH"], **of.env}
    line = [sys.executable, "-m", "imagestore.commands", command, str(folder), *options, "--json"]
    done = subprocess.run(line, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    said = (done.stdout or done.stderr).splitlines()
    return done.returncode, json.loads(said[-1]) if said and said[-1].startswith("{") else {"said": said}


def rows(home: House) -> dict[str, list[Any]]:
    """Every row of the database."""
    found: dict[str, list[Any]] = {}
    with closing(Tables(home.settings.database_url)) as tables:
        tables.read(lambda name, rows: found.update({name: list(rows)}))
    return found


def is_sound(home: House) -> bool:
    return not [one for step in check(home.parts.survey(deep=True)) for one in step.findings]


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[House]:
    with house(tmp_path / "empty") as made:
        yield made


@pytest.fixture(params=["sqlite to mariadb", "mariadb to sqlite"])
def pair(request: pytest.FixtureRequest, home: House, mariadb: MariaDB, tmp_path: Path) -> Iterator[Any]:
    with mariadb.database() as name, house(tmp_path / "maria", DATABASE_URL=mariadb.url(name)) as maria:
        yield (home, maria) if request.param == "sqlite to mariadb" else (maria, home)


def test_whole_comes_back_into_another_kind_of_database(pair: tuple[House, House], folder: Path) -> None:
    home, other = pair
    for number in range(30):
        home.store(b"%d" % (number % 20), f"{number} é 😀")
    home.expect_upload(home.put(b"awaited"))
    ended = home.parts.tasks.insert(
        NewTask("download", "demo", url="http://a.example/", host="a.example"), queued=True
    )
    assert home.parts.tasks.claim(ended.id)
    (home.settings.data_dir / "callback-secret").write_text("whsec_secret")

    made = back_up(home, folder)
    restored = restore(other, folder)

    assert (made.copied, made.faults, restored.copied, restored.faults) == (21, [], 21, [])
    before, after = rows(home), rows(other)
    assert after["image_info"] == before["image_info"]
    assert after["domain_usage"] == before["domain_usage"]
    assert len(after["image_task"]) == 2
    assert {row["claim"] for row in after["image_task"]} == {None}
    assert other.parts.tasks.counts([]) == [("created", None, 2)]
    assert other.parts.tasks.recount(repair=False) == []
    assert other.stored() == home.stored()
    assert is_sound(other)
    secret = other.settings.data_dir / "callback-secret"
    assert (secret.read_text(), secret.stat().st_mode & 0o777) == ("whsec_secret", 0o600)
    # Numbers go on where they were.
    assert other.store(b"new", "new").id > max(row["id"] for row in before["image_info"])


def test_backup_during_writes_has_a_file_for_each_row(home: House, empty: House, folder: Path) -> None:
    for number in range(50):
        home.store(b"before %d" % number, f"before-{number}", age_s=2 * A_DAY_S)
    stop = threading.Event()
    written: list[int] = []

    def write() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            written.append(home.store(b"during %d" % number, f"during-{number}").id)
            if number % 3 == 0:
                image = home.catalog.by_id(written[-2])
                assert image is not None
                home.catalog.delete(image.id)
                home.parts.collector().purge(image.sha256)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        states = [back_up(home, folder) for _ in range(2)]
    finally:
        stop.set()
        writer.join()

    assert [state.faults for state in states] == [[], []]
    assert len(written) > 10
    restore(empty, folder)
    assert len(rows(empty)["image_info"]) >= 50
    assert is_sound(empty)


def test_second_backup_copies_what_is_new_and_either_can_be_restored(
    home: House, empty: House, folder: Path
) -> None:
    home.store(b"old", "old")
    first = back_up(home, folder)
    os.rename(folder / "databases" / first.dump.created, folder / "databases" / "20200101T000000Z")  # type: ignore[union-attr]
    manifest = folder / "databases" / "20200101T000000Z" / "manifest.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "created": "20200101T000000Z"}))
    home.store(b"new", "new")

    second = back_up(home, folder)
    restore(empty, folder, "20200101T000000Z")

    assert (first.copied, second.copied) == (1, 1)
    assert [row["dkey"] for row in rows(empty)["image_info"]] == ["old"]
    assert is_sound(empty)


def test_pruned_backup_keeps_what_its_dumps_need(home: House, folder: Path) -> None:
    gone, kept = home.store(b"gone", "gone"), home.store(b"kept", "kept")
    back_up(home, folder)
    home.catalog.delete(gone.id)
    (older,) = Dump.all(folder / "databases")
    older.folder.rename(older.folder.with_name("20200101T000000Z"))
    back_up(home, folder)

    removed = Backup(folder).prune(1)

    assert removed == 1
    with Backup(folder).originals() as copies:
        assert [file.sha256 for file in copies.walk()] == [kept.sha256]
    assert len(Dump.all(folder / "databases")) == 1


def test_missing_and_damaged_originals_are_told_and_do_not_spoil_the_copy(home: House, folder: Path) -> None:
    spoilt, lost = home.store(b"spoilt", "a"), home.store(b"lost", "b")
    damaged = home.store(b"damaged", "c")
    back_up(home, folder)
    home.damage(spoilt.sha256, b"sPoilt")
    home.damage(damaged.sha256, b"dAmaged!")
    home.storage.remove(lost.sha256)
    unknown = home.store(b"never there", "d")
    home.storage.remove(unknown.sha256)

    state = back_up(home, folder)

    # What the backup has is not looked at again in the store.
    assert {(fault.sha256, fault.outcome) for fault in state.faults} == {(unknown.sha256, "gone")}
    with Backup(folder).originals() as copies, copies.read(spoilt.sha256) as copy:
        assert copy.read() == b"spoilt"


def test_restore_refuses_what_it_would_spoil(home: House, empty: House, folder: Path) -> None:
    home.store(b"one", "one")
    back_up(home, folder)

    with pytest.raises(InvalidRequest, match="empty one"):
        restore(home, folder)
    with pytest.raises(InvalidRequest, match="no such dump"):
        restore(empty, folder, "20200101T000000Z")
    (dump,) = Dump.all(folder / "databases")
    path = dump.folder / "image_info.jsonl.gz"
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(InvalidRequest, match="is damaged"):
        restore(empty, folder)
    assert rows(empty)["image_info"] == []


def test_one_backup_at_a_time_works_on_a_folder(home: House, empty: House, folder: Path) -> None:
    home.store(b"one", "one")

    with Backup(folder).alone():
        (folder / "databases" / ".draft").mkdir(parents=True)
        refused = [imagestore(home, "backup", folder), imagestore(empty, "restore", folder)]
        draft_is_there = (folder / "databases" / ".draft").is_dir()

    assert [status for status, _ in refused] == [2, 2]
    assert draft_is_there
    assert imagestore(home, "backup", folder)[0] == 0


def test_commands_back_up_restore_and_check(home: House, empty: House, folder: Path) -> None:
    home.store(b"one", "one")

    status, made = imagestore(home, "backup", folder, "--keep", "2")
    status_after, restored = imagestore(empty, "restore", folder)

    assert (status, made["copied"], made["tables"]["image_info"]) == (0, 1, 1)
    assert (status_after, restored["copied"], restored["unlike"]) == (0, 1, 0)
    assert empty.stored() == home.stored()
    assert folder.stat().st_mode & 0o077 == 0
