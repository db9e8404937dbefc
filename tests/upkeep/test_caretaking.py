"""The caretaker collects for a database that knows its images, and for no other."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from imagestore.jobqueue import JobQueue
from imagestore.upkeep.caretaking import Caretaker
from tests.servers import redis_server
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


def test_what_no_row_needs_is_collected_also_after_the_last_image_went(home: House, queue: JobQueue) -> None:
    image = home.store(b"gone", "gone", age_s=3 * A_DAY_S)
    home.catalog.delete(image.id)

    Caretaker(home.parts, queue).round()

    assert home.stored() == set()
