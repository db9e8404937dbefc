"""Part `upload`: bytes taken a second, against nginx' own PUT to disk."""

import contextlib
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

from bench import asking
from bench.intake import intake
from bench.options import Options
from bench.report import Bar, Result
from bench.statistics import Series, alternate
from bench.webserver import static_server
from tests.imagestack import API_KEY, image_stack

FRESH, KNOWN, LIMIT = "upload, new bytes", "upload, bytes that are stored", "nginx PUT"
BARE = "gunicorn that only hashes and syncs"

CLIENTS = 8
SIZES = {"200 KB": 200_000, "5 MB": 5_000_000}
BYTES_A_ROUND = 20_000_000

BARS = (Bar(FRESH, LIMIT, at_least=0.5), Bar(KNOWN, LIMIT), Bar(BARE, LIMIT), Bar(KNOWN, BARE))
NOTE = (
    f"{CLIENTS} clients; each PUT has a name of its own, and the photo that comes nearest to the size. New "
    "bytes are hashed twice, decoded whole, synced to disk and noted in a row and in Redis, together with "
    f"their small base picture; nginx writes a file. {BARE} is the most that an API in Python could reach."
)


def measure(options: Options) -> list[Result]:
    """Megabytes a second, for photos of each size."""
    results = []
    with contextlib.ExitStack() as stack:
        limit = stack.enter_context(static_server(options.folder / "limit", options.folder, uploads=True))
        bare = stack.enter_context(intake(options.folder / "intake"))
        ours = stack.enter_context(image_stack(options.folder / "stack"))
        for name, size in SIZES.items():
            photo = min(options.jpegs(), key=lambda path: abs(path.stat().st_size - size)).read_bytes()
            contestants = {
                LIMIT: partial(_round, _Target(limit.port, "/put"), photo, fresh=True),
                BARE: partial(_round, _Target(bare.port, "/put"), photo, fresh=True),
                FRESH: partial(_round, _Target(ours.nginx.port, f"/new{size}"), photo, fresh=True),
                KNOWN: partial(_round, _Target(ours.nginx.port, f"/same{size}"), photo, fresh=False),
            }
            for put in contestants.values():
                put()  # Libraries are loaded, processes are there.
            seen = alternate(contestants, options.rounds)
            series = {who: Series(tuple(values)) for who, values in seen.items()}
            title = f"upload, {named(name, size, len(photo))}"
            results.append(Result(title, "MB/s", series, BARS, NOTE))
    return results


def named(name: str, size: int, there: int) -> str:
    """What a size is called where the nearest photo has `there` bytes, which may be far from it."""
    if abs(there - size) <= size / 5:
        return name
    return f"{name} (a photo of {there / 1000:,.0f} KB)"


@dataclass(frozen=True)
class _Target:
    port: int
    path: str
    numbers: "itertools.count[int]" = field(default_factory=itertools.count)


def _round(target: _Target, photo: bytes, *, fresh: bool) -> float:
    uploads = []
    for _ in range(max(CLIENTS, BYTES_A_ROUND // len(photo))):
        number = next(target.numbers)
        uploads.append((f"{target.path}/{number}.jpg", _marked(photo, number) if fresh else photo))
    return _put(target.port, uploads)


def _marked(photo: bytes, number: int) -> bytes:
    """Other bytes of the same picture: a comment behind the first marker (ITU-T T.81 B.2.4.5)."""
    return photo[:2] + b"\xff\xfe\x00\x0a" + number.to_bytes(8) + photo[2:]


def _put(port: int, uploads: Sequence[tuple[str, bytes]]) -> float:
    """Megabytes a second that a server takes.

    Raises:
        RuntimeError: it refused one.
    """
    auth = {"Authorization": f"Bearer {API_KEY}"}
    requests = [asking.Request(f"http://127.0.0.1:{port}{path}", "PUT", body, auth) for path, body in uploads]
    rate = asking.send(requests, CLIENTS).rate
    return rate * sum(len(body) for _, body in uploads) / len(uploads) / 1e6
