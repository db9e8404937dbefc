"""Part `scale`: whether a million rows cost more than a thousand."""

import contextlib
import hashlib
import itertools
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from bench import asking, wrk
from bench.options import Options
from bench.report import Bar, Result
from bench.statistics import Series, alternate
from tests.imagestack import ImageStack, image_stack
from tests.mariadb import MariaDB, mariadb_server

FEW, MANY = 1_000, 1_000_000
BATCH = 5_000
ASKED = 200
"""Requests of a round, each for another image."""

COLUMNS = (
    "domain, dkey, user_metadata, image_metadata, md5sum, sha256, format, width, height, size, rev, "
    "content_time, create_time, update_time"
)
NOTE = (
    "Seconds a request. `info` and `list` ask for what no cache has; `cold` renders a small photo in a new "
    f"size; `hot` is wrk on one thumbnail. {MANY:,} rows against {FEW:,}."
)


def measure(options: Options) -> list[Result]:
    """Seconds a request of each kind, on SQLite and MariaDB."""
    results = []
    with contextlib.ExitStack() as stack:
        mariadb = stack.enter_context(
            mariadb_server(options.folder / "mariadb", "--innodb-buffer-pool-size=256M")
        )
        for name, opened in (("SQLite", _on_sqlite), ("MariaDB", partial(_on_mariadb, mariadb))):
            with contextlib.ExitStack() as stacks:
                few, many = (
                    _Filled(stacks.enter_context(opened(options, rows)), rows, options)
                    for rows in (FEW, MANY)
                )
                for kind in ("hot", "cold", "info", "list"):
                    contestants = {
                        f"{each.rows:,} rows": partial(getattr(each, kind)) for each in (few, many)
                    }
                    seen = alternate(contestants, options.rounds)
                    series = {who: Series(tuple(values)) for who, values in seen.items()}
                    bar = Bar(f"{MANY:,} rows", f"{FEW:,} rows", at_most=1.15)
                    results.append(Result(f"scale, {name}, {kind}", "s", series, (bar,), NOTE))
    return results


class _Filled:
    """A stack with so many rows; their pictures are not there, but for one."""

    def __init__(self, stack: ImageStack, rows: int, options: Options) -> None:
        self.rows = rows
        self._address = stack.address
        self._image = stack.upload(options.photo(), dkey="bench.jpg")["id"]
        self._seconds = options.seconds
        self._sizes = itertools.count(100)
        # Spread over all of them, and each asked once: a step that is coprime to the number of rows.
        self._rows = itertools.cycle((7919 * number) % rows for number in range(rows))

    def hot(self) -> float:
        return 1 / wrk.load(f"{self._address}/image/read?id={self._image}&width=64", self._seconds).rate

    def cold(self) -> float:
        return self._ask(f"/image/read?id={self._image}&width={next(self._sizes)}" for _ in range(20))

    def info(self) -> float:
        return self._ask(f"/image/info?domain=many&dkey={next(self._rows)}.jpg" for _ in range(ASKED))

    def list(self) -> float:
        return self._ask(
            f"/images?domain=many&limit=100&after={next(self._rows)}" for _ in range(ASKED // 10)
        )

    def _ask(self, paths: Iterator[str]) -> float:
        return 1 / asking.ask([self._address + path for path in paths], clients=2).rate


@contextlib.contextmanager
def _on_sqlite(options: Options, rows: int) -> Iterator[ImageStack]:
    path = options.folder / f"{rows}.db"
    with image_stack(options.folder / f"sqlite-{rows}", DATABASE_URL=f"sqlite:///{path}") as stack:
        with contextlib.closing(sqlite3.connect(path, timeout=60)) as database:

            def insert(values: Sequence[tuple[object, ...]]) -> None:
                places = ", ".join("?" * len(values[0]))
                # Only names of columns and placeholders go into the text.
                sql = f"INSERT INTO image_info ({COLUMNS}) VALUES ({places})"  # noqa: S608
                database.executemany(sql, values)
                database.commit()

            _fill(insert, rows)
        yield stack


@contextlib.contextmanager
def _on_mariadb(server: MariaDB, options: Options, rows: int) -> Iterator[ImageStack]:
    with (
        server.database() as name,
        image_stack(options.folder / f"mariadb-{rows}", DATABASE_URL=server.url(name)) as stack,
    ):

        def insert(values: Sequence[tuple[object, ...]]) -> None:
            row = "(" + ", ".join(["%s"] * len(values[0])) + ")"
            places = ", ".join([row] * len(values))
            sql = f"INSERT INTO image_info ({COLUMNS}) VALUES {places}"  # noqa: S608 - likewise
            server.execute(sql, *itertools.chain.from_iterable(values), database=name)

        _fill(insert, rows)
        yield stack


def _fill(insert: Callable[[Sequence[tuple[object, ...]]], None], rows: int) -> None:
    moment = "2026-01-01 00:00:00.000"
    numbers = iter(range(rows))
    while batch := list(itertools.islice(numbers, BATCH)):
        insert([_row(number, moment) for number in batch])


def _row(number: int, moment: str) -> tuple[object, ...]:
    sha256 = hashlib.sha256(b"%d" % number).hexdigest()
    # Names are bytes to the database, which compares them as such.
    names = (b"many", b"%d.jpg" % number, "{}", '{"frames": 1, "orientation": 1, "alpha": false}')
    return (*names, sha256[:32], sha256, "jpeg", 4000, 3000, 5_000_000, 1, moment, moment, moment)
