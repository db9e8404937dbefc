"""Upload tokens, in the same database as the images. `Catalog.prepare` makes the table. Raises as
`Catalog` does."""

from datetime import datetime
from typing import Any

from imagestore.database import Connection, Database
from imagestore.models import ApiKey, moment
from imagestore.models import UploadToken as Row
from imagestore.permits import Permit, UploadToken

TRIES = 10
"""Uploads that one token may begin: those that were refused count too, since looking at a picture costs."""

_ROWS_PER_SWEEP = 1000


class TokenCatalog:
    """The rows of `upload_token`; `digest` is the sha256 of the secret, in hex."""

    def __init__(self, url: str, *, pool_size: int = 2, timeout_s: float = 2) -> None:
        self._database = Database(url, pool_size=pool_size, timeout_s=timeout_s)

    def close(self) -> None:
        """Close all connections."""
        self._database.close()

    def insert(self, digest: str, key_id: str, permit: Permit, expire_time: datetime) -> UploadToken:
        """A new token."""
        values = {
            "digest": digest,
            "key_id": key_id,
            "domain": permit.domain,
            "dkey": permit.dkey,
            "overwrite": permit.overwrite,
            "max_bytes": permit.max_bytes,
            "formats": " ".join(sorted(permit.formats)),
            "tries": 0,
            "create_time": moment(),
            "expire_time": expire_time,
        }
        return UploadToken(int(self._database.write(Row.insert(values).execute)), key_id, permit, expire_time)

    def claim(self, digest: str) -> UploadToken | None:
        """Take the token, if it is there, unused and in time; of all who try at once one gets it.

        Not the token of a key that was revoked or has expired: a process may have made it in the
        seconds in which it still believed the key.
        """
        free = (Row.digest == digest) & Row.use_time.is_null()

        def work(database: Connection) -> UploadToken | None:
            now = moment()
            take = Row.update(use_time=now, tries=Row.tries + 1)
            if not take.where(free & (Row.expire_time > now) & (Row.tries < TRIES)).execute(database):
                return None
            (row,) = Row.select().where(Row.digest == digest).dicts().execute(database)
            return None if _has_ended(database, row["key_id"], now) else _token(row)

        return self._database.write(work)

    def release(self, token_id: int) -> None:
        """Give a token back whose upload came to nothing."""
        self._database.write(Row.update(use_time=None).where(Row.id == token_id).execute)

    def sweep(self, before: datetime) -> int:
        """Remove tokens that ended before that, 1,000 at most; how many went."""
        query = Row.select(Row.id).where(Row.expire_time < before).limit(_ROWS_PER_SWEEP).tuples()
        ids = self._database.read(lambda database: [number for (number,) in query.execute(database)])
        if ids:
            self._database.write(Row.delete().where(Row.id.in_(ids)).execute)
        return len(ids)


def _has_ended(database: Connection, key_id: str, now: datetime) -> bool:
    """Whether the key that asked for a token is over; those of the settings have no row and no end."""
    if not key_id.isdecimal():
        return False
    over = ApiKey.revoke_time.is_null(False) | (ApiKey.expire_time <= now)
    return bool(list(ApiKey.select(ApiKey.id).where((ApiKey.id == int(key_id)) & over).execute(database)))


def _token(row: dict[str, Any]) -> UploadToken:
    permit = Permit(
        row["domain"],
        row["dkey"],
        bool(row["overwrite"]),
        row["max_bytes"],
        frozenset(row["formats"].split()),
    )
    return UploadToken(row["id"], row["key_id"], permit, row["expire_time"])
