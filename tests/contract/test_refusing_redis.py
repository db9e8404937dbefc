"""A Redis that answers reads and refuses writes, as with a full disk: what it has may be out of date."""

import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from redis import Redis, ResponseError

from imagestore.cache import Cache
from tests.front import ORIGINAL, PICTURE, RECORD, Front, front
from tests.servers import Server, redis_server, wait_until


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Server]:
    """It saves snapshots, and stops taking writes when it cannot (its default)."""
    with redis_server(tmp_path / "disk", "--save", "3600 1") as server:
        yield server
        # It would not end by itself: it wants to save first.
        server.kill()


def url(redis: Server) -> str:
    return f"redis://127.0.0.1:{redis.port}/0"


def open_cache(redis: Server) -> Cache:
    # Patient, since a busy machine is not what is tested here.
    return Cache(url(redis), record_ttl_s=600, picture_ttl_s=600, fields_max=64, timeout_s=10)


def lose_disk(redis: Server, folder: Path) -> None:
    """Let it refuse writes: MISCONF, as after a failed write of the AOF, but without a small disk to fill."""
    shutil.rmtree(folder)
    with Redis(port=redis.port) as client:
        client.bgsave()
        wait_until(lambda: _refuses(client), what="Redis refuses writes")


def _refuses(client: Redis) -> bool:
    try:
        client.set("x", 1)
    except ResponseError as error:
        return "MISCONF" in str(error)
    return False


def test_records_of_a_redis_that_refuses_writes_are_not_believed(redis: Server, tmp_path: Path) -> None:
    with closing(open_cache(redis)) as writer, closing(open_cache(redis)) as reader:
        writer.publish(RECORD, sums=[RECORD.sha256])
        assert reader.record(RECORD.id) == RECORD

        lose_disk(redis, tmp_path / "disk")

        assert not writer.bar(RECORD.id, RECORD.rev + 1)
        assert reader.record(RECORD.id) is None
        assert reader.record_by_sum(RECORD.sha256) is None
        assert reader.record_by_name(RECORD.domain, RECORD.dkey) is None


def test_pictures_of_a_redis_that_refuses_writes_still_count(redis: Server, tmp_path: Path) -> None:
    with closing(open_cache(redis)) as cache:
        cache.keep(RECORD.sha256, "width=300", '"x"', PICTURE)

        lose_disk(redis, tmp_path / "disk")

        found = cache.picture(RECORD.sha256, "width=300")
        assert found is not None
        assert found.picture == PICTURE


def test_nginx_leaves_all_to_the_api_while_redis_refuses_writes(redis: Server, tmp_path: Path) -> None:
    with front(tmp_path / "front", redis_url=url(redis), RECORD_MEMORY_S="0") as running:
        read = f"/image/read?id={RECORD.id}"
        assert running.http.get(read).content == ORIGINAL

        lose_disk(redis, tmp_path / "disk")

        assert from_api(running, read)
        assert from_api(running, f"{read}&w=300")


def from_api(running: Front, path: str) -> bool:
    return running.http.get(path).content == b"from the API"
