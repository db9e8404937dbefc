"""The check: each kind of fault is found, mended where that is possible, and nothing whole is touched."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from imagestore.errors import OriginalMissing, StorageUnavailable
from imagestore.identity import ORIGINAL_FIELD, picture_etag
from imagestore.inventory import Inventory
from imagestore.records import Picture
from imagestore.taskrecords import Ended, Fetch, NewTask
from imagestore.upkeep.fsck import Finding, check
from tests.servers import ROOT, redis_server
from tests.swift import storage_url
from tests.upkeep.conftest import BUCKET
from tests.upkeep.house import A_DAY_S, House, house


def findings(home: House, *, deep: bool = True, repair: bool = False) -> list[Finding]:
    menders = (home.parts.healer(), home.parts.collector()) if repair else None
    return [one for step in check(home.parts.survey(deep=deep), menders) for one in step.findings]


def faults(home: House, *, deep: bool = True) -> dict[str, str]:
    """Hash -> kind."""
    return {one.fault.sha256: one.fault.kind for one in findings(home, deep=deep)}


def fsck(home: House, *arguments: str) -> tuple[int, list[dict[str, Any]]]:
    """The command: exit status, and its lines of JSON."""
    command = [sys.executable, "-m", "imagestore.commands", "fsck", "--json", *arguments]
    env = {"PATH": os.environ["PATH"], **home.env}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture(params=["sqlite", "mariadb", "bucket"])
def any_home(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    if request.param == "sqlite":
        return request.getfixturevalue("home")
    if request.param == "mariadb":
        return request.getfixturevalue("mariadb_home")
    url = storage_url(request.getfixturevalue("s3"), BUCKET, f"run/{tmp_path.name}")
    return request.getfixturevalue("make_house")(STORAGE_URL=url)


@pytest.fixture
def make_house(tmp_path: Path) -> Any:
    def make(**env: str) -> House:
        made = house(tmp_path / "made", **env)
        opened.append(made)
        return made.__enter__()

    opened: list[Any] = []
    yield make
    for each in opened:
        each.__exit__(None, None, None)


def test_each_kind_of_fault_is_found(any_home: House) -> None:
    home = any_home
    for number in range(30):
        home.store(b"whole %d" % number, f"whole-{number}")
    home.store(b"whole 0", "the same again")
    home.expect_upload(home.put(b"awaited"))
    missing = home.store(b"missing", "missing")
    cut = home.store(b"cut", "cut")
    changed = home.store(b"changed", "changed")
    home.storage.remove(missing.sha256)
    for image, body in ((cut, b"cu"), (changed, b"chanGed")):
        home.storage.remove(image.sha256)
        (home.folder / "body").write_bytes(body)
        home.storage.put(image.sha256, home.folder / "body")
    home.put(b"young stray")
    lost = "f" * 64
    home.expect_upload(lost)

    found = findings(home)

    assert {one.fault.sha256: one.fault.kind for one in found} == {
        missing.sha256: "missing",
        cut.sha256: "size",
        changed.sha256: "content",
        lost: "missing",
    }
    ids = {one.fault.sha256: one.fault.image_id for one in found}
    assert (ids[missing.sha256], ids[lost]) == (missing.id, None)
    assert faults(home, deep=False).keys() == {missing.sha256, cut.sha256, lost}


def test_stray_file_is_a_fault_after_the_grace_period(home: House) -> None:
    old = home.put(b"old", age_s=A_DAY_S + 60)
    home.put(b"young", age_s=A_DAY_S - 60)

    (found,) = findings(home)

    assert (found.fault.kind, found.fault.sha256, found.fault.size) == ("stray", old, 3)
    assert found.fault.age_s is not None
    assert found.fault.age_s >= A_DAY_S + 60


def test_what_changes_during_the_check_is_no_fault(home: House, monkeypatch: pytest.MonkeyPatch) -> None:
    deleted, uploaded = home.store(b"deleted", "deleted"), b"uploaded"
    seen = Inventory.originals

    def then_change(inventory: Inventory, after: str = "") -> Any:
        rows = list(seen(inventory, after))
        home.catalog.delete(deleted.id)
        home.storage.remove(deleted.sha256)
        home.store(uploaded, "uploaded", age_s=2 * A_DAY_S)
        return iter(rows)

    monkeypatch.setattr(Inventory, "originals", then_change)

    assert findings(home) == []


def test_store_that_goes_away_ends_the_check_and_is_no_fault(home: House) -> None:
    image = home.store(b"there", "there")
    root = home.storage.root
    assert root is not None
    survey = home.parts.survey(deep=True)
    pairs = list(survey.pairs())
    root.rename(root.with_name("unmounted"))

    with pytest.raises(StorageUnavailable):
        list(check(home.parts.survey(deep=True)))
    with pytest.raises(StorageUnavailable):
        survey.examine(pairs[0])
    assert image.id


def test_repair_without_a_copy_only_takes_the_damage_out_of_sight(home: House) -> None:
    image = home.store(b"changed", "changed")
    home.damage(image.sha256, b"chanGed")

    first, second = findings(home, repair=True), findings(home, repair=True)

    assert [(one.fault.kind, one.mended) for one in first] == [("content", False)]
    assert [(one.fault.kind, one.mended) for one in second] == [("missing", False)]
    with pytest.raises(OriginalMissing):
        home.storage.stat(image.sha256)
    with home.storage.read(image.sha256, ".quarantine") as damaged:
        assert damaged.read() == b"chanGed"


def test_repair_heals_from_redis(tmp_path: Path) -> None:
    with (
        redis_server(tmp_path / "redis") as redis,
        house(tmp_path / "home", REDIS_URL=f"redis://127.0.0.1:{redis.port}/0") as home,
    ):
        lost, changed = home.store(b"lost", "lost"), home.store(b"changed", "changed")
        false = home.store(b"false", "false")
        cache = home.parts.cache
        for image, body in ((lost, b"lost"), (changed, b"changed"), (false, b"other")):
            etag = picture_etag(image.sha256, ORIGINAL_FIELD)
            cache.keep(image.sha256, ORIGINAL_FIELD, etag, Picture("image/png", body))
        home.storage.remove(lost.sha256)
        home.storage.remove(false.sha256)
        home.damage(changed.sha256, b"chanGed")

        found = findings(home, repair=True)

        assert {one.fault.sha256: one.mended for one in found} == {
            lost.sha256: True,
            changed.sha256: True,
            false.sha256: False,
        }
        assert faults(home) == {false.sha256: "missing"}


def test_repair_takes_back_what_was_shelved_whole(home: House) -> None:
    doubted, trashed = home.store(b"doubted", "doubted"), home.store(b"trashed", "trashed")
    home.storage.shelve(doubted.sha256, ".quarantine")
    home.storage.shelve(trashed.sha256, ".trash")

    found = findings(home, repair=True)

    assert [one.mended for one in found] == [True, True]
    assert faults(home) == {}


def test_repair_asks_for_a_download_from_where_it_came(home: House) -> None:
    image = home.store(b"lost", "lost")
    task = home.parts.tasks.insert(
        NewTask("download", "demo", "lost", url="http://a.example/lost.png", host="a.example"), queued=True
    )
    claimed = home.parts.tasks.claim(task.id)
    assert claimed is not None
    ended = Ended("succeed", None, "", image.id, image.sha256, Fetch())
    assert home.parts.tasks.end(*claimed, ended, 1)
    home.storage.remove(image.sha256)

    (found,) = findings(home, repair=True)

    assert found.outcome is not None
    assert found.outcome.text == f"task {task.id + 1} downloads it again"
    again = home.parts.tasks.by_id(task.id + 1)
    assert again is not None
    assert (again.url, again.domain, again.dkey, again.overwrite) == (task.url, "demo", "lost", False)


def test_repair_collects_strays(home: House) -> None:
    home.put(b"old", age_s=2 * A_DAY_S)

    (found,) = findings(home, repair=True)

    assert found.mended
    assert home.stored() == set()


def test_command_tells_faults_in_json_and_by_its_exit_status(home: House, tmp_path: Path) -> None:
    copies = tmp_path / "copies"
    image = home.store(b"changed", "changed")
    home.store(b"whole", "whole")
    assert fsck(home) == (0, [{"originals": 2, "bytes": 12, "faults": 0, "mended": 0}])
    home.damage(image.sha256, b"chanGed")
    other = house(tmp_path / "other", STORAGE_URL=str(copies))
    with other as neighbour:
        neighbour.put(b"changed")

    status, (fault, summary) = fsck(home)
    repaired = fsck(home, "--repair", "--from", str(copies))

    assert (status, fault["kind"], fault["sha256"], fault["image_id"]) == (
        1,
        "content",
        image.sha256,
        image.id,
    )
    assert summary == {"originals": 2, "bytes": 12, "faults": 1, "mended": 0}
    assert repaired[0] == 0
    assert repaired[1][0]["done"] == "healed from the other store"
    assert faults(home) == {}


def test_command_counts_the_tasks_anew(home: House) -> None:
    home.expect_upload(home.put(b"awaited"))
    home.parts.tasks._database.write(lambda db: db.execute_sql("UPDATE task_count SET tasks = 3"))

    status, (found, summary) = fsck(home)
    repaired = fsck(home, "--quick", "--repair")

    told = {
        "kind": "miscount",
        "domain": "demo",
        "flag": "created",
        "reason": "upload",
        "noted": 3,
        "real": 1,
    }
    assert (status, found) == (1, {**told, "mended": False})
    assert summary == {"originals": 1, "bytes": 7, "faults": 1, "mended": 0}
    assert repaired[0] == 0
    assert repaired[1][0] == {**told, "mended": True}
    assert home.parts.tasks.counts([]) == [("created", None, 1)]
