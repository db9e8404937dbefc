"""What the cache is owed: records of images that changed while it could not be told.

The change notes the debt in its own transaction (`owe` in catalog.py); here it is paid, in any process,
once the cache is back.
"""

from imagestore.bases import small_base_etag
from imagestore.cache import Cache
from imagestore.catalog import Catalog
from imagestore.errors import ImagestoreError
from imagestore.identity import mark_identity
from imagestore.records import ImageRecord, Picture

REV_OF_THE_GONE = 2**53
"""Newer than any record: numbers of deleted images are never used again."""

DEBTS_AT_ONCE = 1000


class Debts:
    """Tells the cache of changed images, at once or later."""

    def __init__(self, catalog: Catalog, cache: Cache) -> None:
        self._catalog = catalog
        self._cache = cache
        self._owing = True

    def publish(self, record: ImageRecord, small_base: Picture | None = None) -> bool:
        """Tell the cache of an image as it is now, and with it its small base picture; False as
        `Cache.publish`."""
        base = (small_base_etag(record.sha256), small_base) if small_base else None
        return self._cache.publish(record, mark=mark_identity(record), small_base=base)

    def bury(self, image_id: int) -> bool:
        """Tell the cache that an image is gone for good; False when it is away."""
        return self._cache.bury(image_id, REV_OF_THE_GONE)

    def note(self, *, owed: bool) -> None:
        """After a change was committed: look for its debt soon, if it made one."""
        self._owing = self._owing or owed

    def settle(self, *, always: bool = False) -> int:
        """Publish what the cache should have been told while it was away; gives how many records.

        Cheap when there is nothing to do: without `always` it looks into the database only after
        this process itself noted a debt.

        Raises:
            DatabaseUnavailable
        """
        if not (self._owing or always):
            return 0
        settled = 0
        # Before the look: whoever commits a debt after it says so again.
        self._owing = False
        try:
            debts = self._catalog.debts(DEBTS_AT_ONCE)
            for debt in debts:
                record = self._catalog.by_id(debt.image_id)
                if not (self.publish(record) if record else self.bury(debt.image_id)):
                    break
                self._catalog.settle(debt)
                settled += 1
        except ImagestoreError:
            self._owing = True
            raise
        self._owing = self._owing or settled < len(debts) or len(debts) == DEBTS_AT_ONCE
        return settled
