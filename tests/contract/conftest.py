"""A Redis of a module's own, emptied for each test that looks into it."""

from collections.abc import Iterator

import pytest
import redis

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
