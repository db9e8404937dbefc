"""What is done with a stored original that has other bytes than its name says."""

import hashlib
import logging
from collections.abc import Callable

from imagestore.cache import Cache
from imagestore.errors import OriginalMissing
from imagestore.storage import Shelf, Storage

log = logging.getLogger(__name__)

_BLOCK_BYTES = 1 << 18


def seize(storage: Storage, cache: Cache, sha256: str) -> bool:
    """Take a damaged original out of the store, and what was made of it out of the cache.

    It lies on a shelf of the store then, so that nobody is given its bytes and nothing is lost: who
    asks for it gets `storage-unavailable` until it is healed. It is read once more before; False when
    it is whole or was gone already.

    Raises:
        StorageUnavailable
    """
    try:
        if is_whole(storage, sha256):
            return False
        storage.shelve(sha256, ".quarantine")
    except OriginalMissing:
        return False
    cache.forget_pictures(sha256)
    log.error("a stored original is damaged and was put into quarantine: sha256=%s", sha256)
    return True


def is_whole(
    storage: Storage,
    sha256: str,
    shelf: Shelf | None = None,
    *,
    pace: Callable[[int], None] = lambda size: None,
) -> bool:
    """Whether the stored bytes are those of the hash; `pace` is told of each block, and may wait.

    Raises:
        OriginalMissing: there are none.
        StorageUnavailable: they cannot be read to their end.
    """
    with storage.read(sha256, shelf) as original:
        digest = hashlib.sha256()
        while block := original.read(_BLOCK_BYTES):
            digest.update(block)
            pace(len(block))
        return digest.hexdigest() == sha256
