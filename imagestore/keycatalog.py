"""The API keys that were made at run time, in the same database as the images. `Catalog.prepare`
makes the table. Raises as `Catalog` does."""

from datetime import datetime, timedelta
from typing import Any

from imagestore.bookkeeping import note
from imagestore.database import Connection, Database
from imagestore.errors import NotFound
from imagestore.grants import KeyRecord, Right
from imagestore.models import ApiKey, UploadToken, moment

_COLUMNS = (
    *(ApiKey.id, ApiKey.name, ApiKey.rights, ApiKey.domains),
    *(ApiKey.create_time, ApiKey.use_time, ApiKey.expire_time, ApiKey.revoke_time),
)


class KeyCatalog:
    """The rows of `api_key`. Of a key's secret only the sha256 is ever seen here: `digest`, in hex."""

    def __init__(self, url: str, *, pool_size: int = 2, timeout_s: float = 2) -> None:
        self._database = Database(url, pool_size=pool_size, timeout_s=timeout_s)

    def close(self) -> None:
        """Close all connections."""
        self._database.close()

    def insert(
        self, digest: str, name: str, rights: Right, domains: frozenset[str], expire_time: datetime | None
    ) -> KeyRecord:
        """A new key."""
        values = {
            "name": name,
            "digest": digest,
            "rights": rights,
            "domains": " ".join(sorted(domains)) or None,
            "create_time": moment(),
            "expire_time": expire_time,
        }

        def work(database: Connection) -> int:
            key_id = int(ApiKey.insert(values).execute(database))
            note(database, "key-add", detail=f"key {key_id} {rights} {name}")
            return key_id

        return self._get(self._database.write(work))

    def by_digest(self, digest: str) -> KeyRecord | None:
        """The key with that digest, also one that is not valid any more."""
        return next(iter(self._records(ApiKey.digest == digest)), None)

    def all(self) -> list[KeyRecord]:
        """Every key that there ever was, the oldest first."""
        return self._records(ApiKey.id > 0)

    def revoke(self, key_id: int) -> KeyRecord:
        """End the key, and upload tokens that it asked for; one that was revoked before stays as it is.

        Raises:
            NotFound: there is none.
        """
        where = (ApiKey.id == key_id) & ApiKey.revoke_time.is_null()

        def work(database: Connection) -> None:
            if ApiKey.update(revoke_time=moment()).where(where).execute(database):
                note(database, "key-revoke", detail=f"key {key_id}")
                UploadToken.delete().where(UploadToken.key_id == str(key_id)).execute(database)

        self._database.write(work)
        return self._get(key_id)

    def touch(self, key_id: int, step: timedelta) -> None:
        """Note that the key is used now, unless the last note is younger than `step`."""
        now = moment()
        stale = ApiKey.use_time.is_null() | (ApiKey.use_time < now - step)
        self._database.write(ApiKey.update(use_time=now).where((ApiKey.id == key_id) & stale).execute)

    def _get(self, key_id: int) -> KeyRecord:
        for record in self._records(ApiKey.id == key_id):
            return record
        raise NotFound(f"no API key has id {key_id}")

    def _records(self, where: Any) -> list[KeyRecord]:
        query = ApiKey.select(*_COLUMNS).where(where).order_by(ApiKey.id).dicts()

        def work(database: Connection) -> list[KeyRecord]:
            return [_record(row) for row in query.execute(database)]

        return self._database.read(work)


def _record(row: dict[str, Any]) -> KeyRecord:
    return KeyRecord(**{**row, "domains": frozenset((row["domains"] or "").split())})
