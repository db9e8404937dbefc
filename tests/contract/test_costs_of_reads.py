"""What a read costs the API, counted: statements, round trips to Redis, looks at the store, decoders.

The whole API is asked, in this process; what nginx answers itself costs it nothing.
"""

import contextlib
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import falcon.testing
import pytest
import redis
from PIL import Image

from api.app import build
from imagestore.names import WATERMARK_DOMAIN
from imagestore.records import ImageRecord
from imagestore.rendition import Rendition
from imagestore.service import ImageStore
from imagestore.settings import Settings
from tests import pictures
from tests.contract.basing import put
from tests.contract.costs import Costs, counted
from tests.mariadb import MariaDB
from tests.servers import Server
from tests.swift import make_bucket, s3_server, storage_url

LARGE, SMALL = pictures.texture(1600, 1200), pictures.texture(1200, 900)
"""Of both an upload leaves a small base; a large one is made of the first alone."""

MARK = pictures.encode(pictures.plain(pictures.RED, 20, 10), "png").data

NAMES: dict[str, Callable[[ImageRecord], str]] = {
    "id": lambda record: f"id={record.id}",
    "md5": lambda record: f"sum={record.md5sum}",
    "sha256": lambda record: f"sum={record.sha256}",
}
INFOS: dict[str, Callable[[ImageRecord], str]] = {
    **{name: lambda record, of=of: f"/image/info?{of(record)}" for name, of in NAMES.items()},
    "name": lambda record: f"/image/info?domain={record.domain}&dkey={record.dkey}",
    "rest": lambda record: f"/images/{record.id}",
}
ORIGINALS: dict[str, Callable[[ImageRecord], str]] = {
    **{name: lambda record, of=of: f"/image/read?{of(record)}" for name, of in NAMES.items()},
    "name": lambda record: f"/{record.domain}/{record.dkey}",
}


@dataclass
class Asked:
    """The API around an image store, and who asks it."""

    store: ImageStore
    raw: redis.Redis
    folder: Path
    _numbers: Iterator[int] = field(default_factory=count)

    def __post_init__(self) -> None:
        self._client = falcon.testing.TestClient(build(self.store))

    def upload(self, picture: Image.Image = SMALL, **options: int) -> ImageRecord:
        """Stored with bytes that nobody has seen; its record and small base are in Redis now."""
        number = next(self._numbers)
        sample = pictures.encode(picture, "jpeg", comment=f"{number}".encode(), **options)
        return put(self.store, sample.data, self.folder, f"photo-{number}")

    def get(self, url: str, **headers: str) -> falcon.testing.Result:
        return self._client.simulate_get(url, headers=headers)

    def costs(self, url: str, status: int = 200, **headers: str) -> Costs:
        with counted() as costs:
            answer = self.get(url, **headers)
        assert answer.status_code == status, answer.text
        return costs

    def forget(self) -> None:
        """All that Redis knows but its scripts and what the spellings of this store mean."""
        self.raw.flushall()
        self.store.reads.agree_with_cache()


@contextlib.contextmanager
def asked_store(folder: Path, server: Server, **env: str) -> Iterator[Asked]:
    settings = {
        "DATA_DIR": str(folder / "data"),
        "REDIS_URL": f"redis://127.0.0.1:{server.port}/0",
        "BASE_MIN_PIXELS": "1500000",
        "CACHE_ORIGINAL_MAX_BYTES": "50000",
        **env,
    }
    with (
        contextlib.closing(ImageStore.open(Settings.from_env(settings))) as store,
        redis.Redis(port=server.port) as raw,
    ):
        store.prepare()
        asked = Asked(store, raw, folder)
        record = with_large_base(asked)
        for url in INFOS.values():
            asked.get(url(record))
        store.reads.keep_all([store.reads.wanted(record, Rendition(width=50))])
        yield asked


@pytest.fixture(scope="module", params=["sqlite", "mariadb"])
def asked(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, server: Server
) -> Iterator[Asked]:
    """On a folder; here and below, Redis has been told every script."""
    folder = tmp_path_factory.mktemp("store")
    with contextlib.ExitStack() as stack:
        url = f"sqlite:///{folder}/images.db"
        if request.param == "mariadb":
            running: MariaDB = request.getfixturevalue("mariadb")
            url = running.url(stack.enter_context(running.database()))
        yield stack.enter_context(asked_store(folder, server, DATABASE_URL=url))


@pytest.fixture(scope="module")
def asked_of_s3(tmp_path_factory: pytest.TempPathFactory, server: Server) -> Iterator[Asked]:
    folder = tmp_path_factory.mktemp("store")
    with s3_server(folder / "swift") as s3:
        make_bucket(s3, "originals")
        with asked_store(folder, server, STORAGE_URL=storage_url(s3, "originals")) as asked:
            yield asked


def with_large_base(asked: Asked) -> ImageRecord:
    """A photo of which two sizes were asked for, so that the next one is made from a base."""
    record = asked.upload(LARGE)
    asked.forget()
    for width in (900, 1000):
        assert asked.get(f"/image/read?id={record.id}&width={width}").status_code == 200
    assert asked.raw.exists(f"base:{record.sha256}")
    return record


@pytest.mark.parametrize("url", INFOS.values(), ids=INFOS)
def test_record_costs_one_select_and_then_none(asked: Asked, url: Callable[[ImageRecord], str]) -> None:
    record = asked.upload()
    asked.forget()

    assert asked.costs(url(record)) == Costs(statements=1, turns=1, round_trips=2)
    assert asked.costs(url(record)) == Costs(round_trips=1)


@pytest.mark.parametrize("url", ["/image/info?id=99999999", f"/image/info?sum={'0' * 32}", "/d/nobody"])
def test_what_is_not_there_costs_one_select(asked: Asked, url: str) -> None:
    assert asked.costs(url, 404) == Costs(statements=1, turns=1, round_trips=1)


@pytest.mark.parametrize("url", ORIGINALS.values(), ids=ORIGINALS)
def test_original_costs_a_look_and_no_byte(asked: Asked, url: Callable[[ImageRecord], str]) -> None:
    record = asked.upload()
    asked.forget()

    assert asked.costs(url(record)) == Costs(statements=1, turns=1, round_trips=2, looks=1)
    assert asked.costs(url(record)) == Costs(round_trips=1, looks=1)
    answer = asked.get(url(record))
    assert answer.content == b""
    assert answer.headers["X-Accel-Redirect"].endswith(record.sha256)
    assert asked.costs(url(record), 304, if_none_match=answer.headers["ETag"]) == Costs(round_trips=1)


@pytest.mark.parametrize("url", NAMES.values(), ids=NAMES)
def test_hit_costs_three_round_trips(asked: Asked, url: Callable[[ImageRecord], str]) -> None:
    # nginx answers it for none from then on: the third tells it what the spelling means.
    record = asked.upload()
    thumbnail = f"/image/read?{url(record)}&width=300"
    etag = asked.get(thumbnail).headers["ETag"]

    assert asked.costs(thumbnail) == Costs(round_trips=3)
    assert asked.costs(thumbnail, 304, if_none_match=etag) == Costs(round_trips=1)


@pytest.mark.parametrize("url", NAMES.values(), ids=NAMES)
def test_first_render_costs_a_task_and_opens_no_original(
    asked: Asked, url: Callable[[ImageRecord], str]
) -> None:
    record = asked.upload()
    asked.get(f"/image/info?{url(record)}")

    assert asked.costs(f"/image/read?{url(record)}&width=300") == Costs(round_trips=5, tasks=1)


def test_render_without_a_base_opens_the_original_once(asked: Asked) -> None:
    record = asked.upload()
    asked.raw.delete(f"small:{record.sha256}")

    costs = asked.costs(f"/image/read?id={record.id}&width=300")

    assert costs == Costs(round_trips=5, looks=1, opens=1, tasks=1)


def test_render_of_what_no_cache_has_costs_one_select_more(asked: Asked) -> None:
    record = asked.upload()
    asked.forget()

    costs = asked.costs(f"/image/read?id={record.id}&width=300")

    assert costs == Costs(statements=1, turns=1, round_trips=6, looks=1, opens=1, tasks=1)


def test_size_that_makes_the_base_opens_the_original_once(asked: Asked) -> None:
    record = asked.upload(LARGE)

    first = asked.costs(f"/image/read?id={record.id}&width=900")
    second = asked.costs(f"/image/read?id={record.id}&width=1000")

    assert first == Costs(round_trips=6, looks=1, opens=1, tasks=1)
    # The bytes may be known to be whole since the first.
    assert second == Costs(round_trips=9, looks=1, opens=second.opens, tasks=1)
    assert second.opens <= 1


def test_further_size_opens_no_original(asked: Asked) -> None:
    record = with_large_base(asked)

    assert asked.costs(f"/image/read?id={record.id}&width=1100") == Costs(round_trips=6, tasks=1)


def test_five_presets_cost_one_task_and_one_opening(asked: Asked) -> None:
    record = asked.upload()
    wanted = [asked.store.reads.wanted(record, Rendition(width=width)) for width in range(100, 1100, 200)]

    with counted() as costs:
        failures = asked.store.reads.keep_all(wanted)

    assert failures == [None] * 5
    # All are looked for, leased and looked for again; each is kept, which ends its lease.
    assert costs == Costs(round_trips=8, looks=1, opens=1, tasks=1)


def test_watermark_costs_its_record_and_its_file(asked: Asked) -> None:
    with asked.store.spool.receive(io.BytesIO(MARK), max_bytes=10**6) as spooled:
        asked.store.writes.upload(spooled, WATERMARK_DOMAIN, "logo", None, overwrite=True)
    record = asked.upload()
    asked.get(f"/{WATERMARK_DOMAIN}/logo")

    costs = asked.costs(f"/image/read?id={record.id}&width=300&watermark=logo")

    assert costs == Costs(round_trips=6, looks=1, opens=1, tasks=1)


def test_original_on_s3_costs_no_request(asked_of_s3: Asked) -> None:
    record = asked_of_s3.upload()
    asked_of_s3.forget()
    url = f"/image/read?id={record.id}"

    assert asked_of_s3.costs(url) == Costs(statements=1, turns=1, round_trips=2)
    assert asked_of_s3.get(url).content == b""


def test_small_original_on_s3_costs_one_request_and_then_none(asked_of_s3: Asked) -> None:
    record = asked_of_s3.upload(quality=10)
    assert record.size <= asked_of_s3.store.settings.cache_original_max_bytes
    url = f"/image/read?id={record.id}"

    assert asked_of_s3.costs(url) == Costs(round_trips=3, requests=1)
    assert asked_of_s3.costs(url) == Costs(round_trips=2)


def test_render_costs_s3_one_request_and_none_from_a_base(asked_of_s3: Asked) -> None:
    record = asked_of_s3.upload()
    url = f"/image/read?id={record.id}&width="

    assert asked_of_s3.costs(f"{url}300") == Costs(round_trips=5, tasks=1)
    asked_of_s3.raw.delete(f"small:{record.sha256}")
    assert asked_of_s3.costs(f"{url}310") == Costs(round_trips=5, requests=1, tasks=1)
    assert asked_of_s3.costs(f"{url}300") == Costs(round_trips=3)


def test_further_size_costs_s3_no_request(asked_of_s3: Asked) -> None:
    record = with_large_base(asked_of_s3)

    assert asked_of_s3.costs(f"/image/read?id={record.id}&width=1100") == Costs(round_trips=6, tasks=1)


def test_upload_costs_s3_two_requests(asked_of_s3: Asked) -> None:
    with counted() as costs:
        asked_of_s3.upload()

    # The object, and a look whether it is still there when its row is.
    assert costs == Costs(statements=6, turns=2, round_trips=1, requests=2, tasks=1)
