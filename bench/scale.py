"""Part `scale`: whether a million rows cost more than a thousand."""

import contextlib
import itertools
import sqlite3
from collections.abc import Callable, Iterator
from functools import partial
from hashlib import sha256

from redis import Redis

from bench import asking, wrk
from bench.options import Options
from bench.report import Bar, Result
from bench.statistics import Series, alternate
from imagestore.taskcatalog import TaskCatalog
from tests.imagestack import API_KEY, ImageStack, image_stack
from tests.mariadb import MariaDB, mariadb_server

FEW, MANY = 1_000, 1_000_000
BATCH = 50_000
ASKED = 200
"""Requests of a round, each for another image."""

TURNS = 4
"""In each round: a turn takes tenths of a second, which other work on the machine may take from it."""

KINDS = ("hot", "cold", "info", "list", "prefix", "domains", "tasks", "summary", "search")

NOTE = (
    "Seconds a request. `info` and `list` ask for what no cache has; `cold` renders a small photo in a new "
    "size; `hot` is wrk on one thumbnail. `prefix` lists names that begin alike, `tasks` is a page of failed "
    f"tasks, `summary` their numbers, `search` a list by sum. {MANY:,} images and tasks against {FEW:,}."
)

# A row of each table for a number of `numbers`: made by the server, so that nothing but a statement for
# BATCH rows travels. Names are bytes to the database.
IMAGES = """
INSERT INTO image_info (domain, dkey, user_metadata, image_metadata, md5sum, sha256, format, width, height,
    size, rev, content_time, create_time, update_time)
SELECT {bytes_of}'many'{end}, {bytes_of}{name}{end}, '{{}}',
    '{{"frames": 1, "orientation": 1, "alpha": false}}',
    SUBSTR({sha256}, 1, 32), {sha256}, 'jpeg', 4000, 3000, 5000000, 1, {moment}, {moment}, {moment}
FROM ({numbers}) numbers
"""
TASKS = """
INSERT INTO image_task (kind, domain, dkey, url, url_md5, host, metadata, overwrite, flag, problem, attempts,
    deaths, progress, callback_attempts, callback_queued, create_time, update_time, end_time)
SELECT 'download', {bytes_of}'many'{end}, {bytes_of}{name}{end}, 'http://pictures.example/',
    SUBSTR({sha256}, 1, 32), 'pictures.example', '{{}}', 0,
    CASE WHEN {last_digit} THEN 'succeed' ELSE 'failed' END,
    CASE WHEN {last_digit} THEN NULL ELSE 'fetch-failed' END, 1, 0, '{{}}', 0, 0, {moment}, {moment}, {moment}
FROM ({numbers}) numbers
"""
KEY = {"Authorization": f"Bearer {API_KEY}"}
MOMENT = "'2026-01-01 00:00:00.000'"
MARIADB_WORDS = {
    "bytes_of": "",
    "end": "",
    "name": "CONCAT(n, '.jpg')",
    "sha256": "SHA2(n, 256)",
    "last_digit": "MOD(n, 10)",
    "moment": MOMENT,
    "numbers": "SELECT seq AS n FROM seq_{first}_to_{last}",
}

SQLITE_WORDS = {
    "bytes_of": "CAST(",
    "end": " AS BLOB)",
    "name": "n || '.jpg'",
    "sha256": "sha256_of(n)",
    "last_digit": "n % 10",
    "moment": MOMENT,
    "numbers": "WITH RECURSIVE c(n) AS (SELECT {first} UNION ALL SELECT n + 1 FROM c WHERE n < {last}) "
    "SELECT n FROM c",
}
"""SQLite has no SHA-2 of its own: `sha256_of` is to be given to its connection."""


def measure(options: Options) -> list[Result]:
    """Seconds a request of each kind, on SQLite and MariaDB."""
    results = []
    with contextlib.ExitStack() as stack:
        mariadb = stack.enter_context(
            mariadb_server(
                options.folder / "mariadb",
                # As compose.yaml has it, and a log that takes the rows of a batch.
                *("--innodb-buffer-pool-size=256M", "--innodb-log-file-size=256M"),
                "--innodb-sort-buffer-size=64M",
            )
        )
        for name, opened in (("SQLite", _on_sqlite), ("MariaDB", partial(_on_mariadb, mariadb))):
            with contextlib.ExitStack() as stacks:
                few, many = (
                    _Filled(stacks.enter_context(opened(options, rows)), rows, options)
                    for rows in (FEW, MANY)
                )
                for kind in KINDS:
                    contestants = {
                        f"{each.rows:,} rows": partial(getattr(each, kind)) for each in (few, many)
                    }
                    seen = alternate(contestants, options.rounds * TURNS)
                    series = {who: Series(tuple(values)) for who, values in seen.items()}
                    bar = Bar(f"{MANY:,} rows", f"{FEW:,} rows", at_most=1.15)
                    results.append(Result(f"scale, {name}, {kind}", "s", series, (bar,), NOTE))
    return results


class _Filled:
    """A stack with so many rows; their pictures are not there, but for one."""

    def __init__(self, stack: ImageStack, rows: int, options: Options) -> None:
        self.rows = rows
        self._address = stack.address
        self._redis_port = stack.redis.port
        self._image = stack.upload(options.photo(), dkey="bench.jpg")["id"]
        self._seconds = options.seconds
        self._sizes = itertools.count(100)
        # Spread over all of them, and each asked once: a step that is coprime to the number of rows.
        self._rows = itertools.cycle((7919 * number) % rows for number in range(rows))

    def hot(self) -> float:
        return 1 / wrk.load([f"{self._address}/image/read?id={self._image}&width=64"], self._seconds).rate

    def cold(self) -> float:
        return self._ask(f"/image/read?id={self._image}&width={next(self._sizes)}" for _ in range(20))

    def info(self) -> float:
        # A thousand names come round again; what Redis has of them would be told by nginx.
        with contextlib.closing(Redis(port=self._redis_port)) as redis:
            redis.flushdb()
        return self._ask(f"/image/info?domain=many&dkey={next(self._rows)}.jpg" for _ in range(ASKED))

    def list(self) -> float:
        # 111 of a thousand names begin with a 9 and are the last ones: a whole page is left of either.
        after = itertools.islice((row for row in self._rows if str(row)[0] != "9"), ASKED // 10)
        return self._ask(f"/images?domain=many&limit=100&after={row}" for row in after)

    def prefix(self) -> float:
        # Of a thousand names 111 begin with each of these digits: a whole page of either.
        return self._ask(
            f"/images?domain=many&limit=100&prefix={1 + next(self._rows) % 9}" for _ in range(ASKED // 10)
        )

    def domains(self) -> float:
        return self._ask("/domains" for _ in range(ASKED // 2))

    def tasks(self) -> float:
        after = (max(1, next(self._rows) % (self.rows - 100)) for _ in range(ASKED // 10))
        return self._ask(f"/tasks?flag=failed&limit=10&after={row}" for row in after)

    def summary(self) -> float:
        return self._ask("/tasks/summary" for _ in range(ASKED // 2))

    def search(self) -> float:
        return self._ask(f"/images?sum={sha256(b'%d' % next(self._rows)).hexdigest()}" for _ in range(ASKED))

    def _ask(self, paths: Iterator[str]) -> float:
        requests = [asking.Request(self._address + path, headers=KEY) for path in paths]
        return 1 / asking.send(requests, clients=2).rate


@contextlib.contextmanager
def _on_sqlite(options: Options, rows: int) -> Iterator[ImageStack]:
    path = options.folder / f"{rows}.db"
    with image_stack(options.folder / f"sqlite-{rows}", DATABASE_URL=f"sqlite:///{path}") as stack:
        with contextlib.closing(sqlite3.connect(path, timeout=60)) as database:
            database.create_function(
                "sha256_of", 1, lambda number: sha256(b"%d" % number).hexdigest(), deterministic=True
            )
            # Hashes fall all over their indexes, which do not fit into SQLite's usual 2 MiB.
            database.execute("PRAGMA cache_size = -524288")
            database.execute("PRAGMA synchronous = OFF")

            def execute(sql: str) -> None:
                with database:
                    database.execute(sql)

            fill(execute, SQLITE_WORDS, rows)
            # Kept by the file, as it would grow to what the largest transaction wrote.
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        _count(f"sqlite:///{path}")
        yield stack


@contextlib.contextmanager
def _on_mariadb(server: MariaDB, options: Options, rows: int) -> Iterator[ImageStack]:
    with (
        server.database() as name,
        image_stack(options.folder / f"mariadb-{rows}", DATABASE_URL=server.url(name)) as stack,
    ):
        with _without_indexes(server, name):
            fill(lambda sql: server.execute(sql, database=name), MARIADB_WORDS, rows)
        _count(server.url(name))
        yield stack


@contextlib.contextmanager
def _without_indexes(server: MariaDB, database: str) -> Iterator[None]:
    """Secondary indexes are taken away, and made anew after the block, when they can be sorted first:
    hashes that come one by one fall all over an index that is larger than the server's memory."""
    kept = {}
    for table in ("image_info", "image_task"):
        rows = server.execute(
            """SELECT index_name, MAX(non_unique),
                      GROUP_CONCAT(CONCAT('`', column_name, '`') ORDER BY seq_in_index)
               FROM information_schema.statistics
               WHERE table_schema = %s AND table_name = %s AND index_name <> 'PRIMARY' GROUP BY index_name""",
            database,
            table,
        )
        drop = ", ".join(f"DROP INDEX `{name}`" for name, _, _ in rows)
        server.execute(f"ALTER TABLE {table} {drop}", database=database)
        kept[table] = ", ".join(
            f"ADD {'' if repeats else 'UNIQUE '}INDEX `{name}` ({columns})" for name, repeats, columns in rows
        )
    yield
    for table, add in kept.items():
        server.execute(f"ALTER TABLE {table} {add}", database=database)
        server.execute(f"ANALYZE TABLE {table}", database=database)


def _count(url: str) -> None:
    """The rows came past the server's own code, which counts tasks."""
    with contextlib.closing(TaskCatalog(url)) as tasks:
        tasks.recount(repair=True)


def fill(execute: Callable[[str], object], words: dict[str, str], rows: int) -> None:
    """So many images `many/N.jpg` and as many tasks of them, a tenth of which failed."""
    for first in range(0, rows, BATCH):
        numbers = words["numbers"].format(first=first, last=min(first + BATCH, rows) - 1)
        for table in (IMAGES, TASKS):
            execute(table.format(**{**words, "numbers": numbers}))
