"""The steady load: clients that write, read and order downloads, each at its own pace, and know what
they must see. About 40 requests a second in all."""

import contextlib
import itertools
import random
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx

from tests.faults.journal import CACHED, COLD, HANG_S, WRITE, Journal, fault_of
from tests.faults.ledger import Ledger, Name, content, digests
from tests.imagestack import API_KEY
from tests.origin import Origin, answer

VISIBLE_S = 1.2
"""After this long everybody sees a write: nginx believes a record for a second."""

HOT = 6
"""Pictures that are read all the time, as thumbnails and as originals."""

Expectation = Callable[[httpx.Response], str | None]
"""What is wrong with a successful answer, or None."""


@dataclass
class Client:
    """Asks, and notes what came."""

    http: httpx.Client
    journal: Journal

    def ask(
        self, kind: str, method: str, url: str, expected: Expectation, **options: Any
    ) -> httpx.Response | None:
        """The answer if it was as expected, else None. A refusal is no failure of the server."""
        started = time.monotonic()
        about = f"{method} {url}"
        try:
            got = self.http.request(method, url, **options)
        except httpx.TimeoutException:
            self.journal.note(kind, started, "wrong", f"{about}: no answer")
            return None
        except httpx.TransportError as error:
            self.journal.note(kind, started, "cut", f"{about}: {type(error).__name__}")
            return None
        if time.monotonic() - started > HANG_S:
            self.journal.note(kind, started, "wrong", f"{about}: {got.status_code} after over {HANG_S} s")
            return None
        wrong = expected(got)
        if wrong is None:
            self.journal.note(kind, started, "ok")
            return got
        fault = fault_of(got)
        if fault is None:
            self.journal.note(kind, started, "refused", f"{got.status_code} {got.json()['type']}")
        else:
            self.journal.note(kind, started, "wrong", f"{about}: {wrong}; {fault}")
        return None


def status(*expected: int) -> Expectation:
    return lambda got: None if got.status_code in expected else f"expected {expected}"


def body(wanted: bytes) -> Expectation:
    return lambda got: None if got.status_code == 200 and got.content == wanted else "expected other bytes"


def picture(got: httpx.Response) -> str | None:
    fine = got.status_code == 200 and got.headers["Content-Type"].startswith("image/") and got.content
    return None if fine else "expected a picture"


@dataclass
class Load:
    """What runs until the block ends."""

    address: str
    origin: Origin
    ledger: Ledger
    journal: Journal
    stale: list[tuple[float, float, str]]
    """When a read showed what an acknowledged write had replaced, how old the write was, and where."""
    stopping: threading.Event

    def client(self) -> Client:
        headers = {"Authorization": f"Bearer {API_KEY}"}
        http = httpx.Client(base_url=self.address, headers=headers, timeout=HANG_S + 5)
        return Client(http, self.journal)


@contextlib.contextmanager
def steady_load(address: str, origin: Origin, ledger: Ledger, journal: Journal) -> Iterator[Load]:
    """Clients in threads of their own; at the end of the block none has a request under way."""
    load = Load(address, origin, ledger, journal, [], threading.Event())
    hot = _prepare_hot(load)
    jobs: list[tuple[Callable[[Client], None], float]] = [
        (_Writer(load, "a").step, 0.3),
        (_Writer(load, "b").step, 0.3),
        (lambda client: _read_hot(client, *next(hot)), 0.05),
        (lambda client: _read_cold(client, ledger), 0.2),
        (lambda client: _look_for_writes(load, client), 0.15),
        (_TaskGiver(load).step, 0.5),
    ]
    broken: list[BaseException] = []
    threads = [threading.Thread(target=_pace, args=(load, broken, *job)) for job in jobs]
    for thread in threads:
        thread.start()
    try:
        yield load
    finally:
        load.stopping.set()
        for thread in threads:
            thread.join()
    if broken:
        raise broken[0]


def _pace(load: Load, broken: list[BaseException], step: Callable[[Client], None], every_s: float) -> None:
    client = load.client()
    try:
        with client.http:
            while not load.stopping.wait(random.uniform(0.5, 1.5) * every_s):
                step(client)
    except BaseException as error:
        broken.append(error)


def _prepare_hot(load: Load) -> Iterator[tuple[str, bytes]]:
    """URL and bytes of each, round and round."""
    client = load.client()
    urls = []
    with client.http as http:
        for _ in range(HOT):
            number = load.ledger.new_number()
            dkey = f"hot-{number}"
            stored = http.put(f"/hot/{dkey}", content=content(number))
            name = Name("hot", dkey)
            load.ledger.add(name)
            load.ledger.settle(name, number, stored.json()["id"])
            thumbnail = f"/image/read?id={name.image_id}&width=30"
            urls.append((thumbnail, http.get(thumbnail).raise_for_status().content))
            if len(content(number)) < 256 * 1024:
                urls.append((name.path, http.get(name.path).raise_for_status().content))
    return itertools.cycle(urls)


def _read_hot(client: Client, url: str, wanted: bytes) -> None:
    client.ask(CACHED, "GET", url, body(wanted))


def _read_cold(client: Client, ledger: Ledger) -> None:
    """A picture that nobody asked for yet."""
    name = ledger.picked(settled_s=VISIBLE_S)
    if name is None or name.holds is None:
        return
    version = name.version

    def expected(got: httpx.Response) -> str | None:
        # Changed while it was read.
        return None if name.version != version or name.or_else else picture(got)

    width = random.randint(1, 4096)
    client.ask(COLD, "GET", f"/image/read?id={name.image_id}&width={width}&fit=inside", expected)


def _look_for_writes(load: Load, client: Client) -> None:
    """What was written shows on every way: the new bytes, or 404."""
    name = load.ledger.picked(settled_s=VISIBLE_S)
    if name is None:
        return
    version, holds, settled = name.version, name.holds, name.settled
    ways = [name.path, f"/image/read?id={name.image_id}"]
    if holds is not None:
        ways += [f"/image/read?sum={digest}" for digest in digests(holds)]
    old = {content(number) for number in name.past[-1:]}
    way = random.choice(ways)

    def expected(got: httpx.Response) -> str | None:
        if name.version != version or name.or_else:
            return None
        if got.status_code == 200 and got.content in old:
            now = time.monotonic()
            load.stale.append((now, now - settled, way))
            return None
        return status(404)(got) if holds is None else body(content(holds))(got)

    client.ask(COLD, "GET", way, expected)


class _Writer:
    """Creates, replaces and deletes names of its own, one after the other."""

    def __init__(self, load: Load, letter: str) -> None:
        self._load = load
        self._domain = f"writer-{letter}"
        self._mine: list[Name] = []

    def step(self, client: Client) -> None:
        certain = [name for name in self._mine[-40:] if name.holds is not None and not name.or_else]
        choice = random.random()
        if choice < 0.5 or len(certain) < 5:
            self._create(client)
        elif choice < 0.8:
            self._replace(client, random.choice(certain))
        else:
            self._delete(client, random.choice(certain))

    def _create(self, client: Client) -> None:
        number = self._load.ledger.new_number()
        name = Name(self._domain, f"{number}.png")
        self._mine.append(name)
        self._load.ledger.add(name)
        self._load.ledger.begin(name)
        if random.random() < 0.5:
            got = client.ask(WRITE, "PUT", name.path, status(201), content=content(number))
        else:
            form = {"domain": name.domain, "dkey": name.dkey}
            files = {"file": ("x", content(number))}
            got = client.ask(WRITE, "POST", "/image/upload", status(201), data=form, files=files)
        self._settle(name, number, got)

    def _replace(self, client: Client, name: Name) -> None:
        number = self._load.ledger.new_number()
        self._load.ledger.begin(name)
        way = random.choice([name.path, f"/images/{name.image_id}"])
        self._settle(name, number, client.ask(WRITE, "PUT", way, status(200), content=content(number)))

    def _delete(self, client: Client, name: Name) -> None:
        self._load.ledger.begin(name)
        way = random.choice([name.path, f"/images/{name.image_id}"])
        self._settle(name, None, client.ask(WRITE, "DELETE", way, status(204)))

    def _settle(self, name: Name, number: int | None, got: httpx.Response | None) -> None:
        if got is None:
            self._load.ledger.doubt(name, number)
        else:
            image_id = name.image_id if number is None else int(got.json()["id"])
            self._load.ledger.settle(name, number, image_id)


class _TaskGiver:
    """Orders downloads of pictures that nobody else stores, and uploads that are to be stored later."""

    def __init__(self, load: Load) -> None:
        self._load = load

    def step(self, client: Client) -> None:
        number = self._load.ledger.new_number()
        dkey = f"{number}.png"
        if random.random() < 0.3:
            form = {"domain": "ordered", "dkey": dkey, "mode": "async"}
            options: dict[str, Any] = {"data": form, "files": {"file": ("x", content(number))}}
            got = client.ask(WRITE, "POST", "/image/upload", status(202), **options)
        else:
            path = f"/{number}.png"
            self._load.origin.paths[path] = answer(
                headers={"Content-Type": "image/png"}, body=content(number)
            )
            order = {"url": self._load.origin.url(path), "domain": "ordered", "dkey": dkey}
            got = client.ask(WRITE, "POST", "/image/download", status(202), json=order)
        if got is not None:
            self._load.ledger.accept(got.json()["id"], "ordered", dkey, number)
