"""nginx with everything around it but the API: Redis filled by the real cache, originals in a folder,
a stand-in for the API."""

import contextlib
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx
from redis import Redis

from imagestore.cache import Cache
from imagestore.records import ImageRecord, Picture
from imagestore.redisclient import open_redis
from tests.fakeapi import FakeApi, fake_api
from tests.nginx import nginx_server
from tests.servers import Server, redis_server

NOON = datetime(2024, 2, 29, 12, tzinfo=UTC)
ORIGINAL = bytes(range(256)) * 80
SHA = hashlib.sha256(ORIGINAL).hexdigest()
MD5 = hashlib.md5(ORIGINAL).hexdigest()
RECORD = ImageRecord(
    id=7,
    rev=1,
    domain="demo",
    dkey="a b/ü+😀.jpg",
    sha256=SHA,
    md5sum=MD5,
    size=len(ORIGINAL),
    format="jpeg",
    width=40,
    height=30,
    image_metadata={},
    user_metadata={},
    create_time=NOON,
    update_time=NOON,
)
ORIGINAL_ETAG = f'"{SHA[:32]}"'
PICTURE = Picture("image/webp", bytes(range(256)) * 8 + b"\r\n\n")
PICTURE_FIELD = "width=300@recipe"
RECIPE = "recipe"
PICTURE_ETAG = '"0123456789abcdef0123456789abcdef"'


@dataclass
class Front:
    """nginx and what is behind it; `http` asks it."""

    nginx: Server
    redis: Server
    api: FakeApi
    cache: Cache
    raw: Redis
    originals: Path
    http: httpx.Client
    access_log: Path

    @property
    def stored(self) -> Path:
        """The original's file."""
        return self.originals / SHA[:2] / SHA[2:4] / SHA

    def fill(self) -> None:
        """RECORD and PICTURE in an otherwise empty Redis, the stored original, an API that said nothing."""
        self.raw.flushall()
        self.cache.publish(RECORD, sums=[MD5, SHA])
        self.cache.keep(SHA, PICTURE_FIELD, PICTURE_ETAG, PICTURE)
        self.cache.teach("w=300", PICTURE_FIELD, None, RECIPE)
        self.stored.parent.mkdir(parents=True, exist_ok=True)
        self.stored.unlink(missing_ok=True)
        self.stored.write_bytes(ORIGINAL)
        self.api.asked.clear()
        self.api.answers.clear()


@contextlib.contextmanager
def front(
    folder: Path,
    *,
    redis_url: str | None = None,
    nginx_redis_url: str | None = None,
    signing_keys: str = "",
    **values: str,
) -> Iterator[Front]:
    """A filled front; `values` are nginx's (dev/nginx.py).

    `redis_url` is for another Redis than its own, `nginx_redis_url` for one that nginx alone is told.
    """
    originals = folder / "originals"
    with contextlib.ExitStack() as stack:
        own_redis = stack.enter_context(redis_server(folder / "redis"))
        api = stack.enter_context(fake_api())
        url = redis_url or f"redis://127.0.0.1:{own_redis.port}/0"
        nginx = stack.enter_context(
            nginx_server(
                folder / "nginx",
                api=api.address,
                redis_url=nginx_redis_url or url,
                originals=originals,
                signing_keys=signing_keys,
                **values,
            )
        )
        cache = Cache(url, record_ttl_s=600, picture_ttl_s=600, fields_max=64)
        stack.callback(cache.close)
        raw = stack.enter_context(open_redis(url, timeout_s=5))
        http = stack.enter_context(httpx.Client(base_url=f"http://127.0.0.1:{nginx.port}", timeout=20))
        running = Front(nginx, own_redis, api, cache, raw, originals, http, folder / "nginx" / "access.log")
        running.fill()
        yield running
