"""A cache in the Redis of the module."""

from collections.abc import Iterator

import pytest
import redis

from imagestore.cache import Cache
from tests.contract.cache.samples import make_cache
from tests.servers import Server


@pytest.fixture
def cache(server: Server, raw: redis.Redis) -> Iterator[Cache]:
    with_cache = make_cache(server.port)
    yield with_cache
    with_cache.close()
