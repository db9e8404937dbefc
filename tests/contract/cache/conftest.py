"""A Redis, and a cache in it."""

from collections.abc import Iterator

import pytest
import redis

from imagestore.cache import Cache
from tests.contract.cache.samples import make_cache
from tests.servers import Server, redis_server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with redis_server(tmp_path_factory.mktemp("redis")) as running:
        yield running


@pytest.fixture
def raw(server: Server) -> Iterator[redis.Redis]:
    """An empty Redis, as its keys lie there."""
    with redis.Redis(port=server.port) as client:
        client.flushall()
        yield client


@pytest.fixture
def cache(server: Server, raw: redis.Redis) -> Iterator[Cache]:
    with_cache = make_cache(server.port)
    yield with_cache
    with_cache.close()
