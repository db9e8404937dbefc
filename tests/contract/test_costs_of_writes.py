"""What an upload costs, counted: statements, round trips to Redis, syncs, looks at the store, decoders."""

import contextlib
import io
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from imagestore.service import ImageStore
from imagestore.settings import Settings
from imagestore.taskcatalog import TaskCatalog
from imagestore.taskrecords import Ended, NewTask
from tests.contract.costs import Costs, counted
from tests.pictures import encode, texture
from tests.servers import redis_server

PICTURES = [encode(texture(40 + n, 30), "jpeg").data for n in range(3)]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ImageStore]:
    """On SQLite, a folder and a Redis of its own, that has stored a picture already."""
    with redis_server(tmp_path / "redis") as server:
        env = {"DATA_DIR": str(tmp_path / "data"), "REDIS_URL": f"redis://127.0.0.1:{server.port}/0"}
        with contextlib.closing(ImageStore.open(Settings.from_env(env))) as store:
            store.prepare()
            put(store, PICTURES[0], "first")
            yield store


@pytest.fixture
def costs(store: ImageStore) -> Iterator[Costs]:
    with counted() as costs:
        yield costs


def put(store: ImageStore, body: bytes, name: str) -> None:
    with store.spool.receive(io.BytesIO(body), max_bytes=2**20) as spooled:
        store.writes.upload(spooled, "demo", name, None)


def test_new_bytes_cost_a_decode_and_one_transaction(store: ImageStore, costs: Costs) -> None:
    put(store, PICTURES[1], "new")

    # The file, its folder, and the folders above the two that may have been made for it.
    assert costs.syncs <= 4
    # Name, bytes and quota are asked for; the row, the audit log and the usage are written. The file is
    # looked for before it is put, and when its row is there.
    assert costs == Costs(statements=6, turns=2, round_trips=1, syncs=costs.syncs, looks=2, tasks=1)


def test_small_base_picture_costs_no_decode_and_no_round_trip(store: ImageStore, costs: Costs) -> None:
    put(store, encode(texture(1200, 900), "jpeg").data, "large")

    assert costs == Costs(statements=6, turns=2, round_trips=1, syncs=costs.syncs, looks=2, tasks=1)
    with redis.Redis.from_url(store.settings.redis_url) as client:
        assert len(client.keys("small:*")) == 1


def test_stored_bytes_cost_no_decode_and_no_second_copy(store: ImageStore, costs: Costs) -> None:
    put(store, PICTURES[0], "second name")

    # The folder is synced, since whoever put the file may not have come to that; the file is compared.
    assert costs == Costs(statements=6, turns=2, round_trips=1, syncs=1, looks=3, opens=1)


def test_the_same_upload_again_only_looks(store: ImageStore, costs: Costs) -> None:
    put(store, PICTURES[0], "first")

    assert costs == Costs(statements=2, turns=1, syncs=1, looks=2, opens=1)


def test_the_end_of_a_task_costs_its_row_and_a_count(store: ImageStore, costs: Costs, tmp_path: Path) -> None:
    with contextlib.closing(TaskCatalog(f"sqlite:///{tmp_path}/data/imagestore.db")) as tasks:
        claimed = tasks.claim(tasks.insert(NewTask("download", "demo", url="http://a/"), queued=True).id)
        assert claimed is not None
        before = costs.statements

        assert tasks.end(*claimed, Ended("succeed"), duration_ms=5)

        assert costs.statements - before == 2
