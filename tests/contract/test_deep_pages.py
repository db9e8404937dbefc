"""A page in the middle of many rows reads its own rows and no others: counted by MariaDB."""

from contextlib import closing

from bench.scale import MARIADB_WORDS, fill
from imagestore.catalog import Catalog
from imagestore.taskcatalog import TaskCatalog
from tests.mariadb import MariaDB

ROWS = 20_000
LIMIT = 50


def looked_at(mariadb: MariaDB) -> int:
    """Rows and entries of indexes that the server has looked at until now."""
    rows = mariadb.execute("SHOW GLOBAL STATUS LIKE 'Handler%%'")
    names = ("Handler_read", "Handler_icp_attempts")
    return sum(int(count) for name, count in rows if name.startswith(names) and "tmp" not in name)


def test_a_page_looks_at_its_own_rows_alone(mariadb: MariaDB) -> None:
    with (
        mariadb.database() as name,
        closing(Catalog(mariadb.url(name))) as catalog,
        closing(TaskCatalog(mariadb.url(name))) as tasks,
    ):
        catalog.prepare()
        fill(lambda sql: mariadb.execute(sql, database=name), MARIADB_WORDS, ROWS)
        pages = {
            "domain": lambda: catalog.domain_page("many", prefix="", after="19000.jpg", limit=LIMIT),
            "prefix": lambda: catalog.domain_page("many", prefix="19", after="19000.jpg", limit=LIMIT),
            "all": lambda: catalog.page(after=ROWS // 2, limit=LIMIT),
            "tasks": lambda: tasks.page(
                flag="failed", problem=None, domains=(), after=ROWS // 2, limit=LIMIT, newest=False
            ),
        }
        tasks.recount(repair=True)
        for ask in pages.values():
            ask()
        cost = {}
        for what, ask in pages.items():
            before = looked_at(mariadb)
            assert len(ask()) == LIMIT
            cost[what] = looked_at(mariadb) - before
        before = looked_at(mariadb)
        assert sum(number for _, _, number in tasks.counts([])) == ROWS
        cost["summary"] = looked_at(mariadb) - before

    assert max(cost.values()) < 4 * LIMIT, cost
