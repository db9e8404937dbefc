"""What an upload costs, counted: statements, round trips to Redis, syncs, decodes. No clock is asked."""

import contextlib
import io
import logging
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import redis
from redis.connection import AbstractConnection

from imagestore.render import Renderer
from imagestore.service import ImageStore
from imagestore.settings import Settings
from imagestore.taskcatalog import TaskCatalog
from imagestore.taskrecords import Ended, NewTask
from tests.pictures import encode, texture
from tests.servers import redis_server

PICTURES = [encode(texture(40 + n, 30), "jpeg").data for n in range(3)]


@dataclass
class Costs:
    """So far."""

    statements: int = 0
    round_trips: int = 0
    syncs: int = 0
    decodes: int = 0


class Statements(logging.Handler):
    """Peewee tells each statement to its logger; a commit is none."""

    def __init__(self, costs: Costs) -> None:
        super().__init__(logging.DEBUG)
        self._costs = costs

    def emit(self, record: logging.LogRecord) -> None:
        # Its pool tells of itself too, to a logger below.
        self._costs.statements += record.name == "peewee" and _is_ours()


def _is_ours() -> bool:
    """Not what an image store does by itself, in threads of its own."""
    return threading.current_thread() is threading.main_thread()


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
def costs(store: ImageStore, monkeypatch: pytest.MonkeyPatch) -> Iterator[Costs]:
    costs = Costs()

    def counted(owner: Any, name: str, what: str) -> None:
        work = getattr(owner, name)

        def count(*arguments: Any, **options: Any) -> Any:
            setattr(costs, what, getattr(costs, what) + _is_ours())
            return work(*arguments, **options)

        monkeypatch.setattr(owner, name, count)

    counted(AbstractConnection, "send_packed_command", "round_trips")
    counted(os, "fsync", "syncs")
    counted(Renderer, "inspect", "decodes")
    logger, handler = logging.getLogger("peewee"), Statements(costs)
    logger.addHandler(handler)
    level = logger.level
    logger.setLevel(logging.DEBUG)
    yield costs
    logger.setLevel(level)
    logger.removeHandler(handler)


def put(store: ImageStore, body: bytes, name: str) -> None:
    with store.spool.receive(io.BytesIO(body), max_bytes=2**20) as spooled:
        store.writes.upload(spooled, "demo", name, None)


def test_new_bytes_cost_a_decode_and_one_transaction(store: ImageStore, costs: Costs) -> None:
    put(store, PICTURES[1], "new")

    # Name, bytes and quota are asked for; the row, the audit log and the usage are written.
    assert costs.statements == 6
    assert costs.round_trips == 1
    assert costs.decodes == 1
    # The file, its folder, and the folders above the two that may have been made for it.
    assert costs.syncs <= 4


def test_small_base_picture_costs_no_decode_and_no_round_trip(store: ImageStore, costs: Costs) -> None:
    put(store, encode(texture(1200, 900), "jpeg").data, "large")

    assert (costs.statements, costs.round_trips, costs.decodes) == (6, 1, 1)
    with redis.Redis.from_url(store.settings.redis_url) as client:
        assert len(client.keys("small:*")) == 1


def test_stored_bytes_cost_no_decode_and_no_second_copy(store: ImageStore, costs: Costs) -> None:
    put(store, PICTURES[0], "second name")

    # The folder is synced, since whoever put the file may not have come to that.
    assert costs == Costs(statements=6, round_trips=1, syncs=1, decodes=0)


def test_the_same_upload_again_only_looks(store: ImageStore, costs: Costs) -> None:
    put(store, PICTURES[0], "first")

    assert costs == Costs(statements=2, round_trips=0, syncs=1, decodes=0)


def test_the_end_of_a_task_costs_its_row_and_a_count(store: ImageStore, costs: Costs, tmp_path: Path) -> None:
    with contextlib.closing(TaskCatalog(f"sqlite:///{tmp_path}/data/imagestore.db")) as tasks:
        claimed = tasks.claim(tasks.insert(NewTask("download", "demo", url="http://a/"), queued=True).id)
        assert claimed is not None
        before = costs.statements

        assert tasks.end(*claimed, Ended("succeed"), duration_ms=5)

        assert costs.statements - before == 2
