"""Downloads as the tests ask for them."""

import pytest

from imagestore.download import Fetched, Fetcher
from imagestore.errors import FetchFailed
from imagestore.spool import Spool
from tests.origin import Origin

MIB = 1024 * 1024
BODY = bytes(range(256)) * 1000
"""256,000 bytes: more than one read."""


def fetcher_for(server: Origin, *, total_timeout_s: float = 10, connect_timeout_s: float = 5) -> Fetcher:
    return Fetcher(
        allow=[server.service],
        user_agent="imagestore-test/1",
        max_bytes=MIB,
        total_timeout_s=total_timeout_s,
        connect_timeout_s=connect_timeout_s,
    )


def failure(fetcher: Fetcher, url: str, spool: Spool) -> FetchFailed:
    """How the fetch fails; it leaves nothing in the spool."""
    with pytest.raises(FetchFailed) as caught, fetcher.fetch(url, spool):
        pytest.fail("it did not fail")
    assert list(spool._folder.iterdir()) == []
    return caught.value


def stored(fetcher: Fetcher, url: str, spool: Spool) -> tuple[Fetched, bytes]:
    with fetcher.fetch(url, spool) as fetched:
        assert fetched.spooled is not None
        return fetched, fetched.spooled.path.read_bytes()
