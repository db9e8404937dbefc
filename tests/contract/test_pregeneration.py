"""Presets of an original: made together, from one decode, into the cache."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from prometheus_client import REGISTRY

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
