"""API keys: what they may do, and how long one is believed without asking the database."""

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from imagestore import keyring as module
from imagestore.apikeys import ApiKey
from imagestore.catalog import Catalog
from imagestore.errors import DatabaseUnavailable, Forbidden, NotFound, Unauthenticated
from imagestore.grants import Grant, KeyRecord
from imagestore.keycatalog import KeyCatalog
from imagestore.keyring import Keyring
from tests.servers import wait_until


class Watched(KeyCatalog):
    """A catalog that counts how often it is asked, and can be away."""

    asked = 0
    is_away = False

    def by_digest(self, digest: str) -> KeyRecord | None:
        self.asked += 1
        if self.is_away:
            raise DatabaseUnavailable("the database does not answer")
        return super().by_digest(digest)


@pytest.fixture
def catalog(database_url: str) -> Iterator[Watched]:
    with closing(Catalog(database_url)) as tables:
        tables.prepare()
    with closing(Watched(database_url)) as catalog:
        yield catalog


@pytest.fixture
def keyring(catalog: Watched) -> Keyring:
    return Keyring([ApiKey("API_KEYS.1", "k" * 16, frozenset(["cats"]))], catalog)


def test_a_made_key_is_known_by_its_rights_and_domains(keyring: Keyring) -> None:
    key, secret = keyring.add("shop", "write", frozenset(["cats", "dogs"]))

    assert keyring.grant_of(secret) == Grant(str(key.id), "write", frozenset(["cats", "dogs"]))
    assert [known.name for known in keyring.all()] == ["shop"]


def test_a_key_of_the_settings_may_do_everything_in_its_domains(keyring: Keyring) -> None:
    assert keyring.grant_of("k" * 16) == Grant("API_KEYS.1", "admin", frozenset(["cats"]))


def test_the_secret_is_nowhere_in_the_database(keyring: Keyring, catalog: Watched) -> None:
    _, secret = keyring.add("shop", "write", frozenset())

    rows = catalog._database.read(lambda db: db.execute_sql("SELECT * FROM api_key").fetchall())

    assert len(rows) == 1
    assert secret not in repr(rows)


@pytest.mark.parametrize("secret", ["x", "isk_" + "a" * 43, "isk_", "\udcff" * 20, "k" * 15])
def test_an_unknown_secret_is_refused(keyring: Keyring, secret: str) -> None:
    with pytest.raises(Unauthenticated):
        keyring.grant_of(secret)


def test_an_expired_key_is_refused_although_it_is_remembered(keyring: Keyring) -> None:
    _, secret = keyring.add("brief", "read", frozenset(), expires_in_s=1)
    keyring.grant_of(secret)

    def refused() -> bool:
        try:
            keyring.grant_of(secret)
        except Unauthenticated:
            return True
        return False

    wait_until(refused, what="the end of the key")


def test_a_revoked_key_is_refused_here_at_once(keyring: Keyring) -> None:
    key, secret = keyring.add("shop", "write", frozenset())
    keyring.grant_of(secret)

    revoked = keyring.revoke(key.id)

    assert revoked.revoke_time is not None
    assert keyring.revoke(key.id) == revoked
    with pytest.raises(Unauthenticated):
        keyring.grant_of(secret)
    with pytest.raises(NotFound):
        keyring.revoke(key.id + 1)


def test_a_key_revoked_elsewhere_is_refused_once_it_is_not_believed_any_more(
    keyring: Keyring, catalog: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, secret = keyring.add("shop", "write", frozenset())
    elsewhere = Keyring([], catalog)
    elsewhere.grant_of(secret)

    keyring.revoke(key.id)

    elsewhere.grant_of(secret)
    monkeypatch.setattr(module, "MEMORY_S", 0)
    with pytest.raises(Unauthenticated):
        elsewhere.grant_of(secret)


def test_a_known_key_asks_the_database_once(keyring: Keyring, catalog: Watched) -> None:
    _, secret = keyring.add("shop", "write", frozenset())

    for _ in range(100):
        keyring.grant_of(secret)

    assert catalog.asked == 1


def test_guesses_of_another_shape_do_not_reach_the_database(keyring: Keyring, catalog: Watched) -> None:
    for _ in range(10):
        with pytest.raises(Unauthenticated):
            keyring.grant_of("isk_guess")

    assert catalog.asked == 0


def test_without_the_database_known_keys_go_on_and_unknown_ones_are_not_judged(
    keyring: Keyring, catalog: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, secret = keyring.add("shop", "write", frozenset())
    _, unknown = keyring.add("new", "write", frozenset())
    keyring.grant_of(secret)
    catalog.is_away = True
    monkeypatch.setattr(module, "MEMORY_S", 0)

    assert keyring.grant_of(secret).key_id == str(key.id)
    with pytest.raises(DatabaseUnavailable):
        keyring.grant_of(unknown)
    monkeypatch.setattr(module, "GRACE_S", 0)
    with pytest.raises(DatabaseUnavailable):
        keyring.grant_of(secret)


def test_the_memory_of_keys_is_bounded(keyring: Keyring, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MEMORY_KEYS", 2)

    for number in range(5):
        keyring.grant_of(keyring.add(f"key {number}", "read", frozenset())[1])

    assert len(keyring._seen) == 2


def test_the_last_use_is_noted_coarsely(
    keyring: Keyring, catalog: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, secret = keyring.add("shop", "write", frozenset())
    monkeypatch.setattr(module, "MEMORY_S", 0)

    keyring.grant_of(secret)
    first = keyring.all()[0].use_time
    keyring.grant_of(secret)

    assert first is not None
    assert datetime.now(UTC) - first < timedelta(minutes=1)
    assert keyring.all()[0].use_time == first


def test_each_right_includes_those_before_it() -> None:
    for rights, allowed in {"read": 1, "write": 2, "admin": 3}.items():
        grant = Grant("1", rights)  # type: ignore[arg-type]  # they are

        passed = 0
        for right in ("read", "write", "admin"):
            try:
                grant.require(right)  # type: ignore[arg-type]  # as well
            except Forbidden:
                continue
            passed += 1

        assert passed == allowed
