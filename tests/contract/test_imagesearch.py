"""What a search for images finds and how much it reads, on SQLite and on a real MariaDB alike."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from hashlib import md5, sha256
from pathlib import Path
from typing import Any

import pytest

from imagestore.catalog import Catalog
from imagestore.errors import InvalidParameter
from imagestore.imagesearch import ImageSearch, MetadataWish
from imagestore.records import Content, Facts
from tests.mariadb import MariaDB


@pytest.fixture
def catalog(database_url: str) -> Iterator[Catalog]:
    with closing(Catalog(database_url)) as catalog:
        catalog.prepare()
        yield catalog


def put(
    catalog: Catalog, dkey: str, words: dict[str, Any] | None = None, *, domain: str = "d", text: str = "x"
) -> int:
    data = text.encode()
    content = Content(sha256(data).hexdigest(), md5(data).hexdigest(), len(data))
    return catalog.insert(domain, dkey, content, Facts("png", 3, 2), {}, words or {}).id


def names(catalog: Catalog, search: ImageSearch, *, limit: int = 100, rows: int = 100) -> list[list[str]]:
    """The dkeys of each page, from the first to the one without a next."""
    pages = []
    for _ in range(1000):
        page = catalog.search(search, limit=limit, rows=rows)
        pages.append([record.dkey for record in page.records])
        if page.after is None:
            return pages
        search = replace(search, after=page.after)
    raise AssertionError("the pages do not end")


WORDS: dict[str, dict[str, Any]] = {
    "ada": {"artist": "Ada", "year": 1843, "public": True},
    "nested": {"work": {"artist": "Ada", "tags": ["Über", 'with "quotes"', "line\nfeed", "back\\slash"]}},
    "text year": {"year": "1843", "longer": 18430},
    "empty": {},
    "spellings": {"none": None, "ratio": 1.5, "a:b": "c:d", "percent": "100%_", "emoji": "😀", "": "unnamed"},
}


@pytest.mark.parametrize(
    ("wish", "expected"),
    [
        ("artist:Ada", ["ada"]),
        ("artist:ada", []),
        ("artist:Ad", []),
        ("year:1843", ["ada", "text year"]),
        ("year:184", []),
        ("public:true", ["ada"]),
        ("none:null", ["spellings"]),
        ("ratio:1.5", ["spellings"]),
        ("work:Ada", []),
        ("ada", ["ada", "nested"]),
        ("ARTIST", ["ada", "nested"]),
        ("1843", ["ada", "text year"]),
        ("Über", ["nested"]),
        ("über", []),
        ('with "quotes"', ["nested"]),
        ("line\nfeed", ["nested"]),
        ("k\\s", ["nested"]),
        (":a:b", ["spellings"]),
        ("a:b:c:d", []),
        (":c:d", ["spellings"]),
        ("0%_", ["spellings"]),
        ("%", ["spellings"]),
        ("_", ["spellings"]),
        ("😀", ["spellings"]),
        ("{", []),
        ('","', []),
        ("nowhere", []),
    ],
)
def test_metadata_is_found_by_name_and_value_or_anywhere(
    catalog: Catalog, wish: str, expected: list[str]
) -> None:
    for dkey, words in WORDS.items():
        put(catalog, dkey, words)

    found = names(catalog, ImageSearch(domain="d", metadata=MetadataWish.parse(wish)))

    assert found == [sorted(expected)]


@pytest.mark.parametrize("wish", ["", ":", "x" * 256, "n:" + "v" * 254])
def test_what_is_no_wish_is_refused(wish: str) -> None:
    with pytest.raises(InvalidParameter):
        MetadataWish.parse(wish)


@pytest.mark.parametrize("domain", ["d", None])
def test_a_page_reads_a_bounded_number_of_rows_and_says_where_to_go_on(
    catalog: Catalog, domain: str | None
) -> None:
    for number in range(20):
        put(catalog, f"{number:02}", {"tag": "rare" if number in (13, 14, 19) else "common"})
    search = ImageSearch(domain=domain, metadata=MetadataWish.parse("tag:rare"))

    # Rows 0 to 4, 5 to 9, 10 to 14, 15 to 19; the last window is full, and no empty page follows.
    assert names(catalog, search, rows=5) == [[], [], ["13", "14"], ["19"]]
    assert names(catalog, search, rows=5, limit=1) == [[], [], ["13"], ["14"], ["19"]]
    assert names(catalog, search, rows=20) == [["13", "14", "19"]]
    assert names(catalog, search, rows=1)[13:] == [["13"], ["14"], [], [], [], [], ["19"]]


def test_what_only_looks_alike_costs_no_more_rows_than_a_page_has(catalog: Catalog) -> None:
    for number in range(7):
        put(catalog, f"{number}", {"in": {"a": "1"}} if number < 6 else {"a": "1"})

    found = names(catalog, ImageSearch(domain="d", metadata=MetadataWish.parse("a:1")), limit=2)

    assert found == [[], [], [], ["6"]]


def test_a_sum_is_found_with_and_without_a_domain(catalog: Catalog) -> None:
    for dkey, domain, text in [("c", "d", "x"), ("a", "e", "x"), ("b", "d", "y"), ("a", "d", "x")]:
        put(catalog, dkey, {"k": dkey}, domain=domain, text=text)
    by_md5, by_sha256 = md5(b"x").hexdigest(), sha256(b"x").hexdigest()

    assert names(catalog, ImageSearch(digest=by_md5), limit=2) == [["c", "a"], ["a"]]
    assert names(catalog, ImageSearch(digest=by_sha256, domain="d"), limit=1) == [["a"], ["c"]]
    assert names(catalog, ImageSearch(digest=by_sha256, domain="d", prefix="c")) == [["c"]]
    assert names(catalog, ImageSearch(digest=md5(b"z").hexdigest())) == [[]]
    wish = MetadataWish.parse("k:a")
    assert names(catalog, ImageSearch(digest=by_md5, metadata=wish), rows=1) == [[], ["a"], ["a"]]
    assert names(catalog, ImageSearch(digest=by_md5, domain="d", metadata=wish), rows=1) == [["a"], []]


SEARCHES = [
    (ImageSearch(after="100", metadata=MetadataWish.parse("x")), "PRIMARY"),
    (ImageSearch(domain="d1", metadata=MetadataWish.parse("a:b")), "name"),
    (ImageSearch(domain="d1", prefix="key 1", after="key 12", metadata=MetadataWish.parse("x")), "name"),
    (ImageSearch(digest="c4ca4238a0b923820dcc509a6f75849b"), "md5sum"),
    (ImageSearch(digest="c4ca4238a0b923820dcc509a6f75849b", domain="d1", prefix="key 1"), "md5sum"),
    (ImageSearch(digest="5" * 64, after="10", metadata=MetadataWish.parse("x")), "sha256"),
]


@pytest.fixture
def statements(caplog: pytest.LogCaptureFixture) -> Callable[[Callable[[], object]], list[Any]]:
    """What Peewee sends during a call, and with which values."""

    def during(call: Callable[[], object]) -> list[Any]:
        caplog.clear()
        with caplog.at_level("DEBUG", logger="peewee"):
            call()
        return [record.msg for record in caplog.records if record.msg[0].startswith("SELECT")]

    return during


@pytest.mark.parametrize(("search", "index"), SEARCHES)
def test_each_statement_reads_a_range_of_the_right_index_in_mariadb(
    mariadb: MariaDB, statements: Any, search: ImageSearch, index: str
) -> None:
    with mariadb.database() as name, closing(Catalog(mariadb.url(name))) as catalog:
        catalog.prepare()
        mariadb.execute(
            """INSERT INTO image_info (domain, dkey, user_metadata, image_metadata, md5sum, sha256, format,
                   width, height, size, rev, content_time, create_time, update_time)
               SELECT CONCAT('d', seq %% 3), CONCAT('key ', seq), '{"a":"b"}', '{}', MD5(seq %% 100),
                   SHA2(seq %% 100, 256), 'png', 1, 1, 1, 1, NOW(3), NOW(3), NOW(3) FROM seq_1_to_3000""",
            database=name,
        )
        mariadb.execute("ANALYZE TABLE image_info", database=name)

        sent = statements(lambda: catalog.search(search, limit=10, rows=20))

        assert len(sent) == (1 if search.metadata is None else 2)
        for statement, values in sent:
            ((*_, kind, _possible, key, _length, _ref, _rows, _extra),) = mariadb.execute(
                f"EXPLAIN {statement}", *values, database=name
            )
            assert (key, kind in ("ref", "range")) == (index, True), statement


@pytest.mark.parametrize(("search", "index"), SEARCHES)
def test_each_statement_reads_a_range_of_the_right_index_in_sqlite(
    tmp_path: Path, statements: Any, search: ImageSearch, index: str
) -> None:
    with closing(Catalog(f"sqlite:///{tmp_path}/catalog.db")) as catalog:
        catalog.prepare()
        sent = statements(lambda: catalog.search(search, limit=10))

    columns = {"PRIMARY": "rowid>?", "name": "domain=? AND dkey>?"}.get(index, f"{index}=?")
    with closing(sqlite3.connect(tmp_path / "catalog.db")) as database:
        for statement, values in sent:
            plan = database.execute(f"EXPLAIN QUERY PLAN {statement}", values).fetchall()
            assert f"({columns}" in plan[0][-1].replace("domain=?)", "domain=? AND dkey>?)"), plan
