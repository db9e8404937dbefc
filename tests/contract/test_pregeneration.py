"""Presets of an original: made together, from one decode, into the cache."""

import contextlib
import dataclasses
import json
import logging
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from prometheus_client import REGISTRY

from imagestore.actor import Actor, acting_as
from imagestore.children.slots import Slots
from imagestore.errors import Overloaded
from imagestore.jobqueue import Job
from imagestore.service import ImageStore
from imagestore.settings import Settings
from tests import pictures
from tests.servers import redis_server

PRESETS = "a=width=20;b=width=40&format=webp;c=width=80&format=png;d=crop=70,0,20,20;e=width=100"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ImageStore]:
    folder = tmp_path_factory.mktemp("store")
    with redis_server(folder / "redis") as server:
        env = {
            "DATA_DIR": str(folder),
            "REDIS_URL": f"redis://127.0.0.1:{server.port}/0",
            "PRESETS": PRESETS,
            "RENDER_PROCESSES": "1",
            "RENDER_QUEUE_TIMEOUT_S": "0.2",
        }
        opened = ImageStore.open(Settings.from_env(env))
        opened.prepare()
        yield opened
        opened.close()


def put(store: ImageStore, width: int, height: int, folder: Path) -> int:
    """The id of a new image."""
    path = folder / "upload"
    path.write_bytes(pictures.photo(width, height, seed=width))
    with path.open("rb") as stream, store.spool.receive(stream, max_bytes=10**6) as spooled:
        return store.writes.upload(spooled, "d", str(width), None).record.id


def decodes() -> float:
    samples = [sample for metric in REGISTRY.collect() for sample in metric.samples]
    return sum(sample.value for sample in samples if sample.name == "imagestore_decodes_total")


def kept(store: ImageStore, image_id: int) -> set[str]:
    sha256 = store.reads.by_id(image_id).sha256
    with redis.Redis.from_url(store.settings.redis_url) as client:
        return {field.decode().partition("@")[0] for field in client.hkeys(f"picture:{sha256}")}


def test_five_presets_are_one_decode(store: ImageStore, tmp_path: Path) -> None:
    image_id = put(store, 400, 300, tmp_path)
    before = decodes()

    store.workshop.pregeneration.render(image_id)

    assert decodes() - before == 1
    assert len(kept(store, image_id)) == 5
    store.workshop.pregeneration.render(image_id)
    assert decodes() - before == 1


def test_preset_that_fails_stops_no_other(
    store: ImageStore, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    image_id = put(store, 60, 45, tmp_path)

    with caplog.at_level(logging.WARNING):
        store.workshop.pregeneration.render(image_id)

    assert {"crop" in field for field in kept(store, image_id)} == {False}
    assert len(kept(store, image_id)) == 4
    assert [record.getMessage().partition(": ")[0] for record in caplog.records] == [
        f"preset crop=70,0,20,20 of image_id={image_id}"
    ]


def test_presets_that_somebody_else_makes_are_left_to_them(store: ImageStore, tmp_path: Path) -> None:
    image_id = put(store, 200, 150, tmp_path)
    record = store.reads.by_id(image_id)
    with redis.Redis.from_url(store.settings.redis_url) as client:
        wanted = store.reads.wanted(record, store.settings.presets.renditions[0])
        # Its maker was killed, so the lock goes after a while.
        client.set(f"lock:{record.sha256}:{wanted.field}", "somebody", px=500)
    before = decodes()

    store.workshop.pregeneration.render(image_id)

    assert len(kept(store, image_id)) == 5
    assert decodes() - before == 2


@contextlib.contextmanager
def busy_decoders(store: ImageStore) -> Iterator[None]:
    """Somebody else has the one turn that there is."""
    with Slots(store.settings.data_dir / "run" / "slots", 1, queue=1, timeout_s=1).turn():
        yield


def put_off(store: ImageStore) -> list[dict[str, object]]:
    """The jobs that wait for their time, which has come now."""
    with redis.Redis.from_url(store.settings.queue_url) as client:
        words = client.zrange("later:pictures", 0, -1)
        for word in words:
            client.zadd("later:pictures", {word: time.time() - 1})
    return [dataclasses.asdict(Job(*json.loads(word))) for word in words]


def test_presets_that_meet_busy_decoders_are_put_off_and_made_later(
    store: ImageStore, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    image_id = put(store, 210, 150, tmp_path)
    with redis.Redis.from_url(store.settings.queue_url) as client:
        client.delete("rq:queue:pictures")

    with (
        caplog.at_level(logging.WARNING, logger="imagestore.pregeneration"),
        acting_as(Actor(origin="request-1")),
        busy_decoders(store),
    ):
        store.workshop.pregeneration.render(image_id)

    (line,) = [each.getMessage() for each in caplog.records if each.name == "imagestore.pregeneration"]
    assert re.fullmatch(
        rf"presets of image_id={image_id} are put off for [56] s \(1 of 8\): overloaded: .*",
        line,
    )
    assert kept(store, image_id) == set()
    (job,) = put_off(store)
    assert job == {
        "function": "render_presets",
        "number": image_id,
        "about": "d",
        "rev": store.reads.by_id(image_id).rev,
        "tries": 1,
        "origin": "request-1",
    }

    assert store.workshop.sweeper.round() == 1
    with redis.Redis.from_url(store.settings.queue_url) as client:
        assert client.llen("rq:queue:pictures") == 1
    store.workshop.pregeneration.render(image_id, tries=1)

    assert len(kept(store, image_id)) == 5
    assert put_off(store) == []


def test_presets_are_given_up_after_eight_tries_that_were_put_off(store: ImageStore, tmp_path: Path) -> None:
    image_id = put(store, 220, 150, tmp_path)

    with busy_decoders(store), pytest.raises(Overloaded):
        store.workshop.pregeneration.render(image_id, tries=8)

    assert put_off(store) == []
