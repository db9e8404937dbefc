"""What rows need, asked of both kinds of database."""

import pytest

from imagestore.inventory import Needed
from imagestore.taskrecords import Ended, NewTask
from tests.upkeep.house import House, content_of


@pytest.fixture(params=["home", "mariadb_home"])
def any_home(request: pytest.FixtureRequest) -> House:
    made: House = request.getfixturevalue(request.param)
    return made


def test_needed_follows_rows_and_waiting_uploads(any_home: House) -> None:
    home = any_home
    shared = [home.store(b"shared", name) for name in ("a", "b")]
    waiting, done, absent = (content_of(body).sha256 for body in (b"waiting", b"done", b"absent"))
    home.expect_upload(waiting)
    task = home.parts.tasks.insert(NewTask("upload", "demo", sha256=done), queued=True)
    claimed = home.parts.tasks.claim(task.id)
    assert claimed is not None
    assert home.parts.tasks.end(*claimed, Ended("failed", "image-invalid"), 1)
    many = [f"{number:064x}" for number in range(1200)]

    needed = home.parts.inventory.needed([absent, done, *many, waiting, shared[0].sha256])
    originals = list(home.parts.inventory.originals())

    assert needed == {shared[0].sha256, waiting}
    assert {one.sha256: one for one in originals} == {
        shared[0].sha256: Needed(shared[0].sha256, 6, 2, shared[0].id),
        waiting: Needed(waiting, None),
    }
    assert [one.sha256 for one in originals] == sorted(needed)
    assert home.parts.inventory.needed([]) == set()
    home.catalog.delete(shared[0].id)
    assert home.parts.inventory.needed([shared[0].sha256]) == {shared[0].sha256}
    home.catalog.delete(shared[1].id)
    assert home.parts.inventory.needed([shared[0].sha256]) == set()


def test_notes_are_kept_in_the_place_of_older_ones(any_home: House) -> None:
    inventory = any_home.parts.inventory

    assert inventory.note("scrub") == {}
    inventory.keep_note("scrub", {"cursor": "a"})
    inventory.keep_note("scrub", {"cursor": "é"})
    assert inventory.note("scrub") == {"cursor": "é"}
