"""Upload tokens in the database: one claim of many, on MariaDB and SQLite alike."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from imagestore.catalog import Catalog
from imagestore.keycatalog import KeyCatalog
from imagestore.permits import Permit
from imagestore.tokencatalog import TokenCatalog

DIGEST = "d" * 64


@pytest.fixture
def tokens(database_url: str) -> Iterator[TokenCatalog]:
    with (
        closing(Catalog(database_url)) as catalog,
        closing(TokenCatalog(database_url, pool_size=16)) as tokens,
    ):
        catalog.prepare()
        yield tokens


def test_one_of_many_claims_at_once_gets_the_token(tokens: TokenCatalog) -> None:
    permit = Permit("cats", "tom", True, 100, frozenset(["png", "gif"]))
    made = tokens.insert(DIGEST, "7", permit, datetime.now(UTC) + timedelta(hours=1))

    with ThreadPoolExecutor(16) as threads:
        claims = list(threads.map(lambda _: tokens.claim(DIGEST), range(64)))

    (claimed,) = [claim for claim in claims if claim]
    assert (claimed.id, claimed.key_id, claimed.permit) == (made.id, "7", permit)
    tokens.release(made.id)
    assert tokens.claim(DIGEST) is not None


def test_tokens_whose_time_is_over_are_refused_and_swept(tokens: TokenCatalog) -> None:
    tokens.insert(DIGEST, "7", Permit("cats"), datetime.now(UTC) - timedelta(seconds=1))

    assert tokens.claim(DIGEST) is None
    assert tokens.sweep(datetime.now(UTC)) == 1
    assert tokens.sweep(datetime.now(UTC)) == 0


def test_a_token_that_was_made_just_after_its_key_ended_is_refused(
    tokens: TokenCatalog, database_url: str
) -> None:
    now = datetime.now(UTC)
    with closing(KeyCatalog(database_url)) as keys:
        revoked = keys.insert("a" * 64, "revoked", "write", frozenset(), None)
        keys.revoke(revoked.id)
        expired = keys.insert("b" * 64, "expired", "write", frozenset(), now - timedelta(seconds=1))
        valid = keys.insert("c" * 64, "valid", "write", frozenset(), now + timedelta(hours=1))
    # As a process does that has not yet noticed.
    for digest, key in (("1" * 64, revoked), ("2" * 64, expired), ("3" * 64, valid)):
        tokens.insert(digest, str(key.id), Permit("cats"), now + timedelta(hours=1))

    claims = [tokens.claim(digit * 64) for digit in "123"]

    assert [claim is not None for claim in claims] == [False, False, True]
