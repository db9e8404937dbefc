"""Upload tokens: a short-lived leave to upload one picture, for a browser that must not have a key."""

import contextlib
import hashlib
import logging
import secrets
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from imagestore.actor import acting_as, actor
from imagestore.errors import ImagestoreError, Unauthenticated
from imagestore.grants import Grant
from imagestore.permits import UPLOAD_TOKEN_PREFIX, Permit, UploadToken
from imagestore.probe import sniff
from imagestore.records import Spooled
from imagestore.settings import Settings
from imagestore.tokencatalog import TokenCatalog
from imagestore.writing import Stored, Writes

log = logging.getLogger(__name__)


class UploadTokens:
    """Tokens, made and spent."""

    def __init__(self, catalog: TokenCatalog, writes: Writes) -> None:
        self._catalog = catalog
        self._writes = writes

    @classmethod
    def open(cls, settings: Settings, writes: Writes) -> "UploadTokens":
        """Those of the settings' database. Nothing connects before the first call."""
        return cls(TokenCatalog(settings.database_url), writes)

    def close(self) -> None:
        """Let go of the database."""
        self._catalog.close()

    def make(self, permit: Permit, grant: Grant, *, life_s: int) -> tuple[UploadToken, str]:
        """A token for that permit, with its secret, which cannot be had again.

        Raises:
            Forbidden: the caller may not write there.
        """
        grant.require_domain(permit.domain)
        secret = UPLOAD_TOKEN_PREFIX + secrets.token_urlsafe(32)
        expire_time = datetime.now(UTC) + timedelta(seconds=life_s)
        token = self._catalog.insert(_digest(secret), grant.key_id, permit, expire_time)
        log.info("made token_id=%d domain=%s", token.id, permit.domain)
        return token, secret

    @contextlib.contextmanager
    def spend(self, secret: str) -> Iterator[UploadToken]:
        """The token with that secret, which is spent when the `with` block ends well.

        When it ends with an error the token may be tried again, so that a person who chose a wrong
        picture can choose another one. One that is tried at that moment is taken for spent.

        Raises:
            Unauthenticated: there is none, or it is spent, or its time is over.
        """
        token = self._catalog.claim(_digest(secret))
        if token is None:
            raise Unauthenticated("the upload token is unknown, in use, spent, or its time is over")
        try:
            with acting_as(replace(actor(), key_id=f"{token.key_id} token {token.id}")):
                yield token
        except BaseException:
            # If that is not possible now it stays spent: nothing is let in twice.
            with contextlib.suppress(ImagestoreError):
                self._catalog.release(token.id)
            raise

    def store(self, token: UploadToken, spooled: Spooled, user_metadata: dict[str, object] | None) -> Stored:
        """Store a picture as a token that is being spent allows.

        Raises:
            UnsupportedMediaType: it is of a format that the token does not allow.
            What `Writes.upload` raises.
        """
        permit = token.permit
        permit.check_format(sniff(spooled.head))
        return self._writes.upload(
            spooled, permit.domain, permit.dkey, user_metadata, overwrite=permit.overwrite
        )

    def sweep(self) -> int:
        """Remove tokens whose time is over; how many went."""
        return self._catalog.sweep(datetime.now(UTC))


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()
