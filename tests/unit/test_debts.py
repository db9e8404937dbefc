"""Debts to the cache: none is forgotten, whatever happens in between."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

from imagestore.cachedebts import Debt
from imagestore.catalog import Catalog
from imagestore.debts import DEBTS_AT_ONCE, Debts


@dataclass
class Books:
    """A catalog that knows debts, and nothing of their images."""

    open: list[Debt]
    when_asked: Callable[[], None] = lambda: None
    asked: int = 0
    settled: list[Debt] = field(default_factory=list)

    def debts(self, limit: int) -> list[Debt]:
        self.asked += 1
        found = self.open[:limit]
        self.when_asked()
        return found

    def by_id(self, image_id: int) -> None:
        return None

    def settle(self, debt: Debt) -> None:
        self.open.remove(debt)
        self.settled.append(debt)


@dataclass
class Cache:
    away: bool = False

    def bury(self, image_id: int, rev: int) -> bool:
        return not self.away


def debts_of(books: Books, cache: Cache) -> Debts:
    return Debts(cast(Catalog, books), cast(Any, cache))


def test_a_debt_that_comes_while_others_are_looked_for_is_paid_next() -> None:
    books = Books([])
    debts = debts_of(books, Cache())

    def commit_one() -> None:
        books.when_asked = lambda: None
        books.open.append(Debt(7, 2))
        debts.note(owed=True)

    books.when_asked = commit_one

    assert [debts.settle(), debts.settle()] == [0, 1]


def test_debts_are_looked_for_again_while_the_cache_is_away() -> None:
    books, cache = Books([Debt(1, 2)]), Cache(away=True)
    debts = debts_of(books, cache)

    assert debts.settle() == 0
    cache.away = False
    assert debts.settle() == 1
    assert debts.settle() == 0
    assert books.asked == 2


def test_a_full_page_of_debts_is_followed_by_the_next() -> None:
    books = Books([Debt(n, 1) for n in range(DEBTS_AT_ONCE + 1)])
    debts = debts_of(books, Cache())

    assert [debts.settle(), debts.settle()] == [DEBTS_AT_ONCE, 1]
