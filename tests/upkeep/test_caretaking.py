"""The caretaker collects for a database that knows its images, and for no other."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from imagestore.commands import main
from imagestore.jobqueue import JobQueue
from imagestore.upkeep.caretaking import COUNT, COUNT_EVERY_S, Caretaker
from imagestore.upkeep.collecting import PLAUSIBLE_COUNT
from tests.servers import redis_server
from tests.swift import storage_url
from tests.upkeep.conftest import BUCKET
from tests.upkeep.house import A_DAY_S, House, house


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[JobQueue]:
    with redis_server(tmp_path) as redis, closing(JobQueue(f"redis://127.0.0.1:{redis.port}/0")) as queue:
        yield queue


def test_a_new_database_beside_old_originals_costs_none_of_them(tmp_path: Path, queue: JobQueue) -> None:
    store = str(tmp_path / "originals")
    with house(tmp_path / "lost", STORAGE_URL=store) as lost:
        needed = lost.store(b"needed", "needed", age_s=3 * A_DAY_S)

    with house(tmp_path / "new", STORAGE_URL=store) as new:
        Caretaker(new.parts, queue).round()

        assert new.stored() == {needed.sha256}
        assert not (tmp_path / "originals" / ".trash").exists()


def test_the_wrong_database_costs_no_original_though_it_has_images(tmp_path: Path, queue: JobQueue) -> None:
    store = str(tmp_path / "originals")
    with house(tmp_path / "right", STORAGE_URL=store) as right:
        needed = {
            right.store(b"%d" % number, str(number), age_s=3 * A_DAY_S).sha256
            for number in range(PLAUSIBLE_COUNT + 1)
        }

    with house(tmp_path / "wrong", STORAGE_URL=store) as wrong:
        own = wrong.store(b"one of its own", "own")
        Caretaker(wrong.parts, queue).round()

        assert wrong.stored() == {*needed, own.sha256}


@pytest.mark.parametrize("kind", ["folder", "bucket"])
def test_a_store_of_few_originals_is_collected_by_its_own_database_alone(
    tmp_path: Path, queue: JobQueue, kind: str, request: pytest.FixtureRequest
) -> None:
    store = str(tmp_path / "originals")
    if kind == "bucket":
        store = storage_url(request.getfixturevalue("s3"), BUCKET, f"owned/{tmp_path.name}")
    with house(tmp_path / "right", STORAGE_URL=store) as right:
        Caretaker(right.parts, queue).round()
        age_s = 3 * A_DAY_S if kind == "folder" else 0
        needed = right.store(b"needed", "needed", age_s=age_s)

    with house(tmp_path / "wrong", STORAGE_URL=store) as wrong:
        own = wrong.store(b"its own", "own")
        Caretaker(wrong.parts, queue).round()
        doubt = wrong.parts.collector().doubt()

        assert doubt == "the originals belong to another database"
        assert wrong.stored() == {needed.sha256, own.sha256}
    with house(tmp_path / "right", STORAGE_URL=store) as right:
        assert right.parts.collector().doubt() is None


@pytest.mark.parametrize("command", [["gc"], ["fsck", "--repair", "--quick"]])
def test_commands_remove_most_originals_only_when_told_to_anyway(
    home: House, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    for number in range(PLAUSIBLE_COUNT + 1):
        home.put(b"%d" % number, age_s=3 * A_DAY_S)
    kept = home.store(b"kept", "kept")
    for name, value in home.env.items():
        monkeypatch.setenv(name, value)

    refused = main(command)
    told = capsys.readouterr().err
    left = len(home.stored())
    removed = main([*command, "--anyway"])

    assert (refused, left) == (1, PLAUSIBLE_COUNT + 2)
    assert f"no row needs {PLAUSIBLE_COUNT + 1} of the {PLAUSIBLE_COUNT + 2} stored originals" in told
    assert (removed, home.stored()) == (0, {kept.sha256})


def test_what_no_row_needs_is_collected_also_after_the_last_image_went(home: House, queue: JobQueue) -> None:
    image = home.store(b"gone", "gone", age_s=3 * A_DAY_S)
    home.catalog.delete(image.id)

    Caretaker(home.parts, queue).round()

    assert home.stored() == set()


def test_tasks_are_counted_anew_once_a_day(home: House, queue: JobQueue) -> None:
    home.expect_upload(home.put(b"awaited"))
    tasks, caretaker = home.parts.tasks, Caretaker(home.parts, queue)

    def miscount() -> None:
        tasks._database.write(lambda db: db.execute_sql("DELETE FROM task_count"))

    miscount()
    caretaker.round()
    first = tasks.counts([])
    miscount()
    caretaker.round()
    same_day = tasks.counts([])
    home.parts.inventory.keep_note(
        COUNT, {"began": home.parts.inventory.note(COUNT)["began"] - COUNT_EVERY_S}
    )
    caretaker.round()

    assert (first, same_day) == ([("created", None, 1)], [])
    assert tasks.counts([]) == [("created", None, 1)]
