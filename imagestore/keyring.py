"""API keys: made, revoked, and recognized without asking the database at every request."""

import contextlib
import hashlib
import hmac
import logging
import re
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from imagestore.apikeys import ApiKey
from imagestore.errors import DatabaseUnavailable, ImagestoreError, RateLimited, Unauthenticated
from imagestore.grants import Grant, KeyRecord, Right
from imagestore.keycatalog import KeyCatalog
from imagestore.keylimits import KeyLimits
from imagestore.settings import Settings

log = logging.getLogger(__name__)

MEMORY_S = 5
"""A key is believed for so long before the database is asked again: the time that a revocation takes."""

GRACE_S = 300
"""While the database is away, a key that it confirmed is believed for so long."""

USE_STEP_S = 600
"""How coarse `use_time` is: a key in constant use costs one write in this time."""

MEMORY_KEYS = 10_000
"""Keys that one process remembers."""

PREFIX = "isk_"
"""Of every key that is made here, so that people and secret scanners know one when they see it."""

_SECRET = re.compile(PREFIX + r"[A-Za-z0-9_-]{43}")


@dataclass(slots=True)
class _Seen:
    """A key as the database had it at `confirmed_at`; `asked_at` is when somebody last wanted to know."""

    record: KeyRecord
    asked_at: float
    confirmed_at: float


class Keyring:
    """The keys of this server: those of the settings, which have all rights, and those in the database.

    A key is found by the plain SHA-256 of its secret. That is enough, since a secret made here has 256
    random bits: nobody can guess through it, so a slow hash would only slow down every request.
    """

    def __init__(self, fixed: Sequence[ApiKey], catalog: KeyCatalog, limits: KeyLimits | None = None) -> None:
        """`limits` counts what `admit` lets in; without it nothing is counted."""
        self._limits = limits
        self._fixed = [(_digest(key.secret), Grant(key.id, "admin", key.domains)) for key in fixed]
        self._catalog = catalog
        self._seen: OrderedDict[str, _Seen] = OrderedDict()
        self._lock = threading.Lock()

    @classmethod
    def open(cls, settings: Settings) -> "Keyring":
        """The keys of the settings and of their database. Nothing connects before the first call."""
        limits = KeyLimits(settings.redis_url, rate=settings.rate_per_key)
        return cls(settings.api_keys, KeyCatalog(settings.database_url), limits)

    def admit(self, secret: str) -> Grant:
        """What the caller of one more request with this secret may do; the request is counted.

        Raises:
            Unauthenticated, DatabaseUnavailable: as `grant_of`.
            RateLimited: the key is used too often.
        """
        grant = self.grant_of(secret)
        wait_s = self._limits.take(grant.key_id) if self._limits else 0
        if wait_s:
            raise RateLimited(f"this API key asks too often, expected a pause of {wait_s:.3f} s", wait_s)
        return grant

    def grant_of(self, secret: str) -> Grant:
        """What the caller with this secret may do.

        Raises:
            Unauthenticated: no such key is valid.
            DatabaseUnavailable: nobody can tell now.
        """
        digest = _digest(secret)
        # Digests have one length, so that the comparison tells nothing about the key's.
        for known, grant in self._fixed:
            if hmac.compare_digest(known, digest):
                return grant
        record = self._record(digest) if _SECRET.fullmatch(secret) else None
        if record is None:
            raise Unauthenticated("the API key is not known here")
        if not record.valid_at(datetime.now(UTC)):
            raise Unauthenticated("the API key was revoked or has expired")
        return record.grant

    def add(
        self, name: str, rights: Right, domains: frozenset[str], *, expires_in_s: float | None = None
    ) -> tuple[KeyRecord, str]:
        """Make a key; gives it with its secret, which cannot be had again."""
        secret = PREFIX + secrets.token_urlsafe(32)
        expire_time = datetime.now(UTC) + timedelta(seconds=expires_in_s) if expires_in_s else None
        record = self._catalog.insert(_digest(secret), name, rights, domains, expire_time)
        log.info("made key_id=%d rights=%s", record.id, record.rights)
        return record, secret

    def all(self) -> list[KeyRecord]:
        """Every key in the database, also those that are not valid any more; the oldest first."""
        return self._catalog.all()

    def revoke(self, key_id: int) -> KeyRecord:
        """End a key: here at once, in other processes within MEMORY_S.

        Raises:
            NotFound: there is none.
        """
        record = self._catalog.revoke(key_id)
        with self._lock:
            for digest in [digest for digest, seen in self._seen.items() if seen.record.id == key_id]:
                del self._seen[digest]
        log.info("revoked key_id=%d", key_id)
        return record

    def close(self) -> None:
        """Let go of the database and of Redis."""
        self._catalog.close()
        if self._limits:
            self._limits.close()

    def _record(self, digest: str) -> KeyRecord | None:
        now = time.monotonic()
        with self._lock:
            seen = self._seen.get(digest)
            if seen and now - seen.asked_at < MEMORY_S:
                return seen.record
            if seen:
                # One thread asks; meanwhile the others go on with what was so a moment ago.
                seen.asked_at = now
        try:
            record = self._catalog.by_digest(digest)
        except DatabaseUnavailable:
            if seen and now - seen.confirmed_at < GRACE_S:
                return seen.record
            if seen:
                self._forget(digest)
            raise
        if record is None:
            # Only what exists is remembered: so guesses take no memory, and a new key works at once.
            self._forget(digest)
            return None
        self._remember(digest, _Seen(record, now, now))
        self._note_use(record)
        return record

    def _remember(self, digest: str, seen: _Seen) -> None:
        with self._lock:
            self._seen[digest] = seen
            self._seen.move_to_end(digest)
            if len(self._seen) > MEMORY_KEYS:
                self._seen.popitem(last=False)

    def _forget(self, digest: str) -> None:
        with self._lock:
            self._seen.pop(digest, None)

    def _note_use(self, record: KeyRecord) -> None:
        step = timedelta(seconds=USE_STEP_S)
        now = datetime.now(UTC)
        if record.valid_at(now) and (record.use_time is None or now - record.use_time > step):
            with contextlib.suppress(ImagestoreError):
                self._catalog.touch(record.id, step)


@contextlib.contextmanager
def open_keyring(settings: Settings) -> Iterator[Keyring]:
    """The keys alone, without the rest of an image store."""
    with contextlib.closing(Keyring.open(settings)) as keyring:
        yield keyring


def _digest(secret: str) -> str:
    # A header may hold any byte; surrogates stand for those that are not UTF-8.
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()
