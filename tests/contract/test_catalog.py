"""What the catalog promises, on SQLite and on a real MariaDB alike."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from hashlib import md5, sha256
from types import MappingProxyType
from typing import Any

import pytest

from imagestore.cachedebts import Debt
from imagestore.catalog import Catalog
from imagestore.errors import ImageNotFound, KeyConflict, PreconditionFailed
from imagestore.records import Content, Facts, ImageRecord
from tests.servers import wait_until

FACTS = Facts("png", 30, 20)
SEEN = {"frames": 1, "orientation": 1, "alpha": False}


@pytest.fixture
def catalog(database_url: str) -> Iterator[Catalog]:
    with closing(Catalog(database_url)) as catalog:
        catalog.prepare()
        yield catalog


def content(text: str) -> Content:
    data = text.encode()
    return Content(sha256(data).hexdigest(), md5(data).hexdigest(), len(data))


def put(catalog: Catalog, dkey: str, text: str = "bytes", *, domain: str = "d") -> ImageRecord:
    return catalog.insert(domain, dkey, content(text), FACTS, SEEN, {})


def replace(catalog: Catalog, image_id: int, text: str, **options: Any) -> ImageRecord:
    return catalog.replace(image_id, content(text), FACTS, SEEN, **options)


def pass_by(moment: datetime) -> None:
    """Wait until the clock shows a later millisecond than `moment`."""
    wait_until(lambda: datetime.now(UTC) > moment + timedelta(milliseconds=1), what="the next millisecond")


def walk(catalog: Catalog, prefix: str, *, limit: int = 2) -> list[str]:
    """The dkeys of all pages of domain `d`."""
    dkeys: list[str] = []
    while page := catalog.domain_page("d", prefix=prefix, after=dkeys[-1] if dkeys else None, limit=limit):
        dkeys += [record.dkey for record in page]
    return dkeys


def test_insert_gives_what_every_read_gives(catalog: Catalog) -> None:
    what = Content("5" * 64, "6" * 32, 3_000_000_000)
    seen = {"frames": 12, "orientation": 6, "alpha": True, "camera": "Ω"}

    record = catalog.insert("d", "a.webp", what, Facts("webp", 16383, 1), seen, {"title": "x"})

    assert (record.rev, record.size, record.width, record.height) == (1, 3_000_000_000, 16383, 1)
    assert record.facts == Facts("webp", 16383, 1, frames=12, orientation=6, alpha=True)
    assert catalog.by_id(record.id) == record
    assert catalog.by_key("d", "a.webp") == record
    assert catalog.by_sum("5" * 64) == record
    assert catalog.by_sum("6" * 32) == record


def test_insert_notes_the_time_in_utc_to_the_millisecond(catalog: Catalog) -> None:
    before = datetime.now(UTC) - timedelta(milliseconds=1)

    record = put(catalog, "a")

    assert before <= record.create_time <= datetime.now(UTC)
    assert record.create_time == record.update_time
    assert record.create_time.microsecond % 1000 == 0


def test_reads_give_none_when_nothing_is_there(catalog: Catalog) -> None:
    assert catalog.by_id(1) is None
    assert catalog.by_key("d", "a") is None
    assert catalog.by_sum("5" * 64) is None
    assert catalog.page(0, 10) == []
    assert walk(catalog, "") == []


def test_insert_refuses_a_taken_name_and_keeps_the_row(catalog: Catalog) -> None:
    first = put(catalog, "a", "first")

    with pytest.raises(KeyConflict):
        put(catalog, "a", "second")

    assert catalog.by_key("d", "a") == first


def test_names_are_compared_byte_for_byte(catalog: Catalog) -> None:
    names = ["a.jpg", "A.jpg", "caf\u00e9", "cafe\u0301", "cafe", "a.jpg ", "a.jpg  ", " a.jpg", "😀", "😁"]
    names += ["\U0010ffff" * 255, "ß", "ss", "a%2Fb", "a/b", "a//b"]

    ids = {name: put(catalog, name).id for name in names}

    assert len(set(ids.values())) == len(names)
    for name in names:
        record = catalog.by_key("d", name)
        assert record is not None
        assert (record.id, record.dkey) == (ids[name], name)
    assert catalog.by_key("d", "CAFE") is None
    assert catalog.by_key("D", "a.jpg") is None


def test_user_metadata_comes_back_as_it_was(catalog: Catalog) -> None:
    nested: Any = []
    for _ in range(30):  # With the object around it 32 levels, the most that a request may have.
        nested = [nested]
    given: dict[str, Any] = {
        "emoji 😀": "\U0001f9d1\u200d\U0001f680 \\ ' \" % \u0000 \n",
        "numbers": [1, -2.5, 2**70, 1e100],
    }
    given |= {"": None, "deep": nested, "flags": {"yes": True, "no": False}}

    record = catalog.insert("d", "a", content("x"), FACTS, MappingProxyType(SEEN), MappingProxyType(given))

    stored = catalog.by_id(record.id)
    assert stored is not None
    assert stored.user_metadata == given


def test_sum_answers_with_the_row_that_has_held_the_bytes_longest(catalog: Catalog) -> None:
    first = put(catalog, "first", "same")
    second = put(catalog, "second", "same")
    digest = content("same").md5sum

    assert catalog.by_sum(digest) == first
    pass_by(second.update_time)
    edited = replace(catalog, first.id, "same")
    assert catalog.by_sum(digest) == edited, "the bytes did not change"
    replace(catalog, first.id, "other")
    assert catalog.by_sum(digest) == second
    replace(catalog, first.id, "same")
    assert catalog.by_sum(digest) == second, "the first got them back only now"
    catalog.delete(second.id)
    assert catalog.by_sum(digest) == catalog.by_id(first.id)


def test_colliding_md5_sum_answers_with_the_first_row(catalog: Catalog) -> None:
    first = catalog.insert("d", "good", Content("1" * 64, "c" * 32, 9), FACTS, SEEN, {})
    second = catalog.insert("d", "evil", Content("2" * 64, "c" * 32, 9), FACTS, SEEN, {})

    assert catalog.by_sum("c" * 32) == first
    assert catalog.by_sum("2" * 64) == second


def test_replace_changes_the_bytes_and_keeps_the_name(catalog: Catalog) -> None:
    old = catalog.insert("d", "a", content("old"), FACTS, SEEN, {"keep": 1})
    pass_by(old.update_time)

    new = catalog.replace(old.id, content("newer"), Facts("gif", 1, 2), {"frames": 3})

    assert new == catalog.by_id(old.id)
    assert (new.id, new.domain, new.dkey, new.rev) == (old.id, "d", "a", 2)
    assert (new.sha256, new.size, new.facts) == (content("newer").sha256, 5, Facts("gif", 1, 2, frames=3))
    assert new.user_metadata == {"keep": 1}
    assert new.create_time == old.create_time < new.update_time
    assert catalog.by_sum(content("old").sha256) is None


def test_replace_takes_new_user_metadata_too(catalog: Catalog) -> None:
    old = catalog.insert("d", "a", content("old"), FACTS, SEEN, {"keep": 1})

    new = replace(catalog, old.id, "new", user_metadata={})

    assert new.user_metadata == {}
    assert catalog.by_id(old.id) == new


def test_update_user_metadata_leaves_the_bytes(catalog: Catalog) -> None:
    old = put(catalog, "a")

    new = catalog.update_user_metadata(old.id, {"title": "ö"}, expected_rev=1)

    assert new == catalog.by_id(old.id)
    assert (new.rev, new.sha256, new.user_metadata) == (2, old.sha256, {"title": "ö"})


def test_changes_of_another_revision_are_refused(catalog: Catalog) -> None:
    record = put(catalog, "a")

    with pytest.raises(PreconditionFailed):
        replace(catalog, record.id, "new", expected_rev=2, owe=True)
    with pytest.raises(PreconditionFailed):
        catalog.update_user_metadata(record.id, {"x": 1}, expected_rev=0, owe=True)
    with pytest.raises(PreconditionFailed):
        catalog.delete(record.id, expected_rev=7, owe=True)

    assert catalog.by_id(record.id) == record
    assert catalog.debts(10) == []


def test_changes_of_a_missing_image_are_refused(catalog: Catalog) -> None:
    with pytest.raises(ImageNotFound):
        replace(catalog, 1, "new", owe=True)
    with pytest.raises(ImageNotFound):
        catalog.update_user_metadata(1, {}, expected_rev=1, owe=True)
    with pytest.raises(ImageNotFound):
        catalog.delete(1, owe=True)

    assert catalog.debts(10) == []


def test_delete_gives_the_row_and_frees_its_name(catalog: Catalog) -> None:
    record = put(catalog, "a")

    assert catalog.delete(record.id, expected_rev=1) == record

    assert catalog.by_id(record.id) is None
    assert put(catalog, "a", "other").rev == 1


def test_the_id_of_a_deleted_row_is_never_given_again(catalog: Catalog) -> None:
    newest = put(catalog, "a")
    catalog.delete(newest.id)

    assert put(catalog, "a").id > newest.id


def test_a_domain_is_listed_by_its_bytes_and_whole(catalog: Catalog) -> None:
    names = ["b", "B", "é", "z", "😀", "\uffff", "a/b", "a", "a/c", "a b"]
    for name in names:
        put(catalog, name)
    put(catalog, "elsewhere", domain="c")
    put(catalog, "elsewhere", domain="d.e")

    assert walk(catalog, "", limit=3) == sorted(names, key=str.encode)


@pytest.mark.parametrize(
    "prefix", ["a%", "a_", "a\\", "a", "a\U0010ffff", "\U0010ffff", "é", "a'", "\x7f", "zz"]
)
def test_a_prefix_matches_itself_alone(catalog: Catalog, prefix: str) -> None:
    names = [
        "a%b",
        "a_b",
        "a\\b",
        "axb",
        "A%b",
        "a",
        "a'b",
        "a\U0010ffff",
        "a\U0010ffff\U0010ffffz",
        "b",
        "`",
    ]
    names += ["\U0010ffff", "\U0010ffff\U0010ffff", "é", "éa", "e\u0301", "è", "ê", "\x7f", "\u0080", "a "]
    for name in names:
        put(catalog, name)

    found = walk(catalog, prefix)

    assert found == sorted((name for name in names if name.startswith(prefix)), key=str.encode)


def test_paging_is_complete_while_others_write(catalog: Catalog) -> None:
    names = [f"k{number:02}" for number in range(20)]
    ids = [put(catalog, name).id for name in names]
    by_name: list[str] = []
    by_id: list[int] = []

    for round_number in range(10):
        page = catalog.domain_page("d", prefix="k", after=by_name[-1] if by_name else None, limit=3)
        by_name += [record.dkey for record in page]
        by_id += [record.id for record in catalog.page(by_id[-1] if by_id else 0, 4)]
        put(catalog, f"a{round_number}")
        put(catalog, f"k{round_number}5-new")
        put(catalog, f"z{round_number}")

    assert [name for name in by_name if not name.endswith("-new")] == names
    assert len(set(by_name)) == len(by_name)
    assert by_id[:20] == ids
    assert by_id == sorted(set(by_id))


def test_references_follow_the_rows(catalog: Catalog) -> None:
    shared, lonely, absent = (content(text).sha256 for text in ("shared", "lonely", "absent"))
    first = put(catalog, "1", "shared")
    put(catalog, "2", "shared")
    put(catalog, "3", "lonely")

    assert [catalog.references(digest) for digest in (shared, lonely, absent)] == [2, 1, 0]
    catalog.delete(first.id)
    assert catalog.references(shared) == 1


def test_an_owed_change_stays_owed_until_it_is_settled(catalog: Catalog) -> None:
    first, second, third = (put(catalog, name) for name in "123")
    replace(catalog, first.id, "new", owe=True)
    catalog.update_user_metadata(second.id, {"x": 1}, owe=True)
    catalog.delete(third.id, owe=True)
    owed = [Debt(first.id, 2), Debt(second.id, 2), Debt(third.id, 2)]

    assert catalog.debts(10) == owed
    assert catalog.debts(1) == owed[:1]
    catalog.settle(owed[1])
    assert catalog.debts(10) == [owed[0], owed[2]]


def test_settling_an_old_debt_keeps_a_newer_one(catalog: Catalog) -> None:
    record = put(catalog, "a")
    replace(catalog, record.id, "second", owe=True)
    (read_before_publishing,) = catalog.debts(10)
    replace(catalog, record.id, "third", owe=True)

    catalog.settle(read_before_publishing)

    assert catalog.debts(10) == [Debt(record.id, 3)]


def test_one_of_many_inserts_of_a_name_wins(catalog: Catalog) -> None:
    def attempt(number: int) -> int | None:
        try:
            return put(catalog, "same", f"bytes {number}").id
        except KeyConflict:
            return None

    with ThreadPoolExecutor(16) as threads:
        ids = [image_id for image_id in threads.map(attempt, range(16)) if image_id is not None]

    winner = catalog.by_key("d", "same")
    assert winner is not None
    assert ids == [winner.id]


def test_no_change_is_lost_among_concurrent_ones(catalog: Catalog) -> None:
    record = put(catalog, "a")

    with ThreadPoolExecutor(16) as threads:
        made = list(
            threads.map(lambda n: replace(catalog, record.id, f"bytes {n}", owe=n % 2 == 0), range(48))
        )

    last = catalog.by_id(record.id)
    assert sorted(change.rev for change in made) == list(range(2, 50))
    assert last == max(made, key=lambda change: change.rev)


def test_one_of_many_guarded_changes_wins(catalog: Catalog) -> None:
    record = put(catalog, "a")

    def attempt(number: int) -> bool:
        try:
            replace(catalog, record.id, f"bytes {number}", expected_rev=1)
        except PreconditionFailed:
            return False
        return True

    with ThreadPoolExecutor(8) as threads:
        outcomes = list(threads.map(attempt, range(8)))

    assert outcomes.count(True) == 1


def test_prepare_may_run_in_many_places_at_once(database_url: str) -> None:
    catalogs = [Catalog(database_url) for _ in range(6)]

    with ThreadPoolExecutor(6) as threads:
        list(threads.map(Catalog.prepare, catalogs))
        records = list(threads.map(lambda pair: put(pair[1], str(pair[0])), enumerate(catalogs)))

    assert len({record.id for record in records}) == 6
    for catalog in catalogs:
        catalog.check()
        catalog.close()
