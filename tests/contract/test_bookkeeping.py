"""Usage is exact and quotas hold whatever happens at once, and every change has its entry in the audit
log; MariaDB and SQLite alike."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta

import pytest

from imagestore.actor import Actor, acting_as
from imagestore.auditcatalog import AuditCatalog
from imagestore.catalog import Catalog
from imagestore.errors import ImageNotFound, InsufficientStorage, KeyConflict, PreconditionFailed
from imagestore.ledger import Quota
from imagestore.records import Content, Facts, ImageRecord
from imagestore.usagecatalog import UsageCatalog

FACTS = Facts("png", 3, 2)


@pytest.fixture
def catalog(database_url: str) -> Iterator[Catalog]:
    with closing(Catalog(database_url, quota=Quota(max_images=20, max_bytes=1000))) as catalog:
        catalog.prepare()
        yield catalog


@pytest.fixture
def usage(database_url: str, catalog: Catalog) -> Iterator[UsageCatalog]:
    with closing(UsageCatalog(database_url)) as usage:
        yield usage


@pytest.fixture
def audit(database_url: str, catalog: Catalog) -> Iterator[AuditCatalog]:
    with closing(AuditCatalog(database_url)) as audit:
        yield audit


def content(size: int, mark: str = "0") -> Content:
    return Content(mark * 64, mark * 32, size)


def put(catalog: Catalog, dkey: str, size: int = 10, domain: str = "cats") -> ImageRecord:
    return catalog.insert(domain, dkey, content(size), FACTS, {}, {})


def held(usage: UsageCatalog) -> dict[str, tuple[int, int]]:
    return {one.domain: (one.images, one.bytes) for one in usage.page(after=None, limit=100)}


def test_usage_follows_every_change(catalog: Catalog, usage: UsageCatalog) -> None:
    tom = put(catalog, "tom", 100)
    put(catalog, "kit", 30)
    put(catalog, "rex", 5, domain="dogs")

    catalog.replace(tom.id, content(60, "1"), FACTS, {})
    catalog.update_user_metadata(tom.id, {"a": 1})
    assert held(usage) == {"cats": (2, 90), "dogs": (1, 5)}

    catalog.delete(tom.id)
    assert held(usage) == {"cats": (1, 30), "dogs": (1, 5)}


def test_a_change_that_fails_is_not_counted_and_not_noted(
    catalog: Catalog, usage: UsageCatalog, audit: AuditCatalog
) -> None:
    tom = put(catalog, "tom")

    with pytest.raises(KeyConflict):
        put(catalog, "tom")
    with pytest.raises(PreconditionFailed):
        catalog.delete(tom.id, expected_rev=7)
    with pytest.raises(ImageNotFound):
        catalog.delete(tom.id + 1)

    assert held(usage) == {"cats": (1, 10)}
    assert [entry.action for entry in audit.page(before=None, limit=9)] == ["create"]


def test_what_passes_a_quota_is_refused_and_what_frees_room_is_not(
    catalog: Catalog, usage: UsageCatalog
) -> None:
    tom = put(catalog, "tom", 900)

    with pytest.raises(InsufficientStorage, match="cats"):
        put(catalog, "kit", 101)
    with pytest.raises(InsufficientStorage):
        catalog.replace(tom.id, content(1001, "1"), FACTS, {})
    assert catalog.before_upload("cats", None, Content("", "", 101)) == (None, None, False)
    assert catalog.before_upload("cats", None, Content("", "", 100)) == (None, None, True)
    put(catalog, "kit", 100)
    usage.set_quota("cats", Quota(max_images=1, max_bytes=1))
    catalog.replace(tom.id, content(899, "1"), FACTS, {})
    catalog.update_user_metadata(tom.id, {"a": 1})
    catalog.delete(tom.id)

    assert held(usage) == {"cats": (1, 100)}


def test_a_quota_of_its_own_goes_before_that_of_all(catalog: Catalog, usage: UsageCatalog) -> None:
    usage.set_quota("cats", Quota(max_bytes=5000))
    usage.set_quota("dogs", Quota(max_images=0))

    put(catalog, "large", 4000)
    with pytest.raises(InsufficientStorage):
        put(catalog, "rex", domain="dogs")

    usage.set_quota("dogs", Quota())
    put(catalog, "rex", domain="dogs")


def test_eight_at_once_at_the_edge_never_pass_the_quota(
    database_url: str, catalog: Catalog, usage: UsageCatalog
) -> None:
    """New domain, so that its row is made in the race too; deletes and replaces in between."""

    def work(catalog: Catalog, worker: int) -> int:
        refused = 0
        for number in range(8):
            try:
                record = put(catalog, f"{worker}-{number}", 50)
                if number % 4 == 3:
                    catalog.replace(record.id, content(70, "1"), FACTS, {})
                if number % 4 == 2:
                    catalog.delete(record.id)
            except InsufficientStorage:
                refused += 1
            for one in usage.page(after=None, limit=9):
                assert one.images <= 20
                assert one.bytes <= 1000
        return refused

    with ExitStack() as stack:
        catalogs = [
            stack.enter_context(closing(Catalog(database_url, quota=Quota(max_images=20, max_bytes=1000))))
            for _ in range(8)
        ]
        threads = stack.enter_context(ThreadPoolExecutor(8))
        refused = sum(threads.map(work, catalogs, range(8)))

    assert refused > 0
    before = held(usage)
    assert not usage.recount("cats")
    assert held(usage) == before


def test_a_recount_finds_what_was_not_counted(
    database_url: str, catalog: Catalog, usage: UsageCatalog
) -> None:
    put(catalog, "tom", 100)
    catalog._database.write(lambda db: db.execute_sql("UPDATE domain_usage SET images = 7, bytes = 9"))

    assert usage.recount("cats")
    assert not usage.recount("cats")

    assert held(usage) == {"cats": (1, 100)}


def test_each_change_is_noted_with_who_made_it(catalog: Catalog, audit: AuditCatalog) -> None:
    with acting_as(Actor("7", "request", "203.0.113.9")):
        tom = put(catalog, "tom")
        catalog.replace(tom.id, content(10, "1"), FACTS, {})
        catalog.update_user_metadata(tom.id, {"a": 1})
    catalog.delete(tom.id)

    entries = audit.page(before=None, limit=9, domains=frozenset(["cats", "x"]), image_id=tom.id)

    old, new = "0" * 64, "1" * 64
    assert [(e.action, e.key_id, e.sha256_old, e.sha256_new) for e in entries] == [
        ("delete", None, new, None),
        ("edit", "7", new, new),
        ("replace", "7", old, new),
        ("create", "7", None, old),
    ]
    last = entries[-1]
    assert (last.request_id, last.address, last.domain, last.dkey) == (
        "request",
        "203.0.113.9",
        "cats",
        "tom",
    )
    assert [e.id for e in audit.page(before=last.id + 2, limit=1, key_id="7")] == [last.id + 1]
    assert audit.page(before=None, limit=9, domains=frozenset(["dogs"])) == []


def test_old_entries_are_swept(catalog: Catalog, audit: AuditCatalog) -> None:
    put(catalog, "tom")

    assert audit.sweep(datetime.now(UTC) - timedelta(days=1)) == 0
    assert audit.sweep(datetime.now(UTC) + timedelta(days=1)) == 1
    assert audit.page(before=None, limit=9) == []
