"""Part `hot`: what is cached, against the same bytes as a static file of nginx."""

import contextlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from urllib.parse import quote

import httpx

from bench import wrk
from bench.options import Options
from bench.report import Bar, Result
from bench.rivals import THUMBOR, thumbor
from bench.statistics import Series, alternate
from bench.webserver import static_server
from imagestore.signing import SigningKey, sign
from tests.imagestack import ImageStack, image_stack
from tests.nginx import nginx_server
from tests.servers import Server

STATIC = "nginx static file"
MEMORY, REDIS, SIGNED = "thumbnail, nginx memory", "thumbnail, Redis", "thumbnail, signed"
MANY_PICTURES = 40
"""So many that hardly two clients ask for one at the same time."""
STATIC_MANY, MANY = f"{MANY_PICTURES} nginx static files", f"{MANY_PICTURES} thumbnails, Redis"
STATIC_ORIGINAL = "nginx static original"
BY_ID, BY_SUM, BY_NAME = "original by id", "original by sum", "original by name"
STATIC_INFO, INFO = "nginx static JSON", "info"
OF_RECORDS = {BY_ID: STATIC_ORIGINAL, BY_SUM: STATIC_ORIGINAL, BY_NAME: STATIC_ORIGINAL, INFO: STATIC_INFO}
"""What needs a record and no picture, and its limit."""
IN_REDIS, IN_NGINX = "{}, record in Redis", "{}, record in nginx"
RIVAL = f"{THUMBOR}, from its result storage"

SAME_BYTES = {
    **dict.fromkeys((MEMORY, SIGNED, REDIS), STATIC),
    MANY: STATIC_MANY,
    **{place.format(name): limit for place in (IN_REDIS, IN_NGINX) for name, limit in OF_RECORDS.items()},
}
"""Whose answers are those of which limit."""

BARS = (
    Bar(MEMORY, STATIC, at_least=0.85),
    Bar(SIGNED, STATIC, at_least=0.65),
    Bar(REDIS, STATIC, at_least=0.35),
    Bar(MANY, STATIC_MANY, at_least=0.35),
    *(
        Bar(place.format(name), limit, at_least=0.3 if name == INFO else 0.6)
        for place in (IN_REDIS, IN_NGINX)
        for name, limit in OF_RECORDS.items()
    ),
    Bar(MEMORY, RIVAL, at_least=20),
)
P99_BARS = (Bar(MEMORY, STATIC, at_most=1.5), Bar(SIGNED, STATIC, at_most=1.5))

NOTE = (
    f"wrk, {wrk.CONNECTIONS} connections, {wrk.THREADS} threads, all on one URL, or in turn on the "
    f"{MANY_PICTURES} that are named; every nginx has two processes and writes its access log. "
    "Records are known to nginx for a second, except where pictures or records are said to be in Redis: that "
    "nginx has no memory. "
    f"Each has a load of {wrk.WARM_UP_S} s before the first round."
)
KEY = SigningKey("bench", "a-secret-for-benchmarks-of-40-characters")


def measure(options: Options) -> list[Result]:
    """Answers a second and the 99th percentile of their times, a load of `options.seconds` each."""
    with _addresses(options) as addresses:
        contestants: dict[str, Callable[[], wrk.Load]] = {
            name: partial(wrk.load, urls, options.seconds) for name, urls in addresses.items()
        }
        for urls in addresses.values():
            wrk.load(urls, wrk.WARM_UP_S)
        seen = alternate(contestants, options.rounds)
    rates = {name: Series(tuple(load.rate for load in loads)) for name, loads in seen.items()}
    delays = {name: Series(tuple(load.p99_ms for load in loads)) for name, loads in seen.items()}
    return [
        Result("hot", "req/s", rates, BARS, NOTE),
        Result("hot", "99th percentile in ms", delays, P99_BARS),
    ]


@contextlib.contextmanager
def _addresses(options: Options) -> Iterator[dict[str, list[str]]]:
    """Name -> URLs, of everything that is compared; each has been asked, and answers what it should."""
    root = options.folder / "static"
    root.mkdir()
    with contextlib.ExitStack() as stack:
        limit = _at(stack.enter_context(static_server(options.folder / "limit", root)))
        ours = stack.enter_context(image_stack(options.folder / "stack"))
        photo = options.photo()
        image = ours.upload(photo, dkey="bench.jpg")
        thumbnail = f"/image/read?id={image['id']}&width=300"
        of_records = {
            BY_ID: f"/image/read?id={image['id']}",
            BY_SUM: f"/image/read?sum={image['md5sum']}",
            BY_NAME: f"/{image['domain']}/{quote(image['dkey'])}",
            INFO: f"/image/info?id={image['id']}",
        }
        widths = range(300 - MANY_PICTURES // 2, 300 + MANY_PICTURES // 2)
        many = {f"{width}.jpg": f"/image/read?id={image['id']}&width={width}" for width in widths}
        for name, path in {"thumbnail.jpg": thumbnail, "info.json": of_records[INFO], **many}.items():
            (root / name).write_bytes(ours.http.get(path).raise_for_status().content)
        (root / "original.jpg").write_bytes(photo)
        memory = _at(stack.enter_context(_front(ours, "memory")))
        redis = _at(stack.enter_context(_front(ours, "redis", PICTURE_MEMORY="0", RECORD_MEMORY_S="0")))
        rival = stack.enter_context(thumbor(options.folder / "thumbor", root, keeps=True))
        signed = _at(stack.enter_context(_front(ours, "signed", SIGNING="*=enforce")))
        addresses = {
            STATIC: [f"{limit}/thumbnail.jpg"],
            MEMORY: [memory + thumbnail],
            SIGNED: [signed + sign(thumbnail, KEY)],
            REDIS: [redis + thumbnail],
            STATIC_MANY: [f"{limit}/{name}" for name in many],
            MANY: [redis + path for path in many.values()],
            STATIC_ORIGINAL: [f"{limit}/original.jpg"],
            STATIC_INFO: [f"{limit}/info.json"],
            **{
                place.format(name): [front + path]
                for place, front in ((IN_REDIS, redis), (IN_NGINX, memory))
                for name, path in of_records.items()
            },
            RIVAL: [rival.url("original.jpg", 300, "jpeg")],
        }
        _check(addresses)
        yield addresses


def _front(ours: ImageStack, name: str, **values: str) -> contextlib.AbstractContextManager[Server]:
    """One more nginx in front of the stack, without a limit on the rate of one address."""
    return nginx_server(
        ours.folder / name,
        api=f"127.0.0.1:{ours.api.port}",
        redis_url=ours.env["REDIS_URL"],
        originals=Path(ours.env["DATA_DIR"]) / "originals",
        signing_keys=f"{KEY.id}={KEY.secret}",
        RATE_PER_ADDRESS="0",
        **values,
    )


def _at(server: Server) -> str:
    return f"http://127.0.0.1:{server.port}"


def _check(addresses: dict[str, list[str]]) -> None:
    """Ask each twice, so that it is cached; each has to give the bytes of its limit."""
    for name, limit in SAME_BYTES.items():
        expected = _bodies(addresses[limit])
        for _ in range(2):
            if _bodies(addresses[name]) != expected:
                raise RuntimeError(f"{name} does not answer with the bytes of {limit}")
    for _ in range(2):
        _bodies(addresses[RIVAL])


def _bodies(urls: list[str]) -> list[bytes]:
    return [httpx.get(url).raise_for_status().content for url in urls]
