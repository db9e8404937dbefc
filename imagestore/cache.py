"""Records and pictures in Redis, for this package and for nginx (cachewords.py has the keys).

Pictures are immutable (picturecache.py). Records are not: each has a `rev`, and Redis takes none
that is older than the one it has. A Redis that is away or hung is a miss, never an error.
"""

import logging
from collections.abc import Sequence
from typing import Any

from imagestore.cachelink import CacheLink
from imagestore.cachewords import CachedPicture, Gone, Setup, Shortcut, Usage, dump_picture, load_record
from imagestore.picturecache import MAX_PICTURES_BYTES, MAX_SMALL_BASE_BYTES, PictureCache
from imagestore.records import CONTENT_TYPES, ImageRecord, Picture, description
from imagestore.settings import Settings
from imagestore.spelling import is_teachable

__all__ = ["Cache", "CachedPicture", "Gone", "Shortcut", "open_cache"]

log = logging.getLogger(__name__)

MAX_SMALL_BASES = 300
"""Some 30 MB: an eighth of Redis's memory by default. A crawl of a million pictures takes no more."""

MAX_SPELLINGS = 10_000
"""Known at a time; together some megabytes. What is pushed out is taught again by its next request."""

BAR_TTL_S = 30
"""Longer than any transaction may take."""

TIMEOUT_S = 0.3
"""For a connect and for each read, where nobody says otherwise."""


class Cache(PictureCache):
    """The cache in one Redis; safe to share between threads, and to inherit by a fork.

    Args:
        url: `redis://`, `rediss://` or `unix://`.
        record_ttl_s, picture_ttl_s: life in Redis since the last write.
        fields_max, bytes_max: pictures kept per original, and their bytes together.
        small_bases_max: small base pictures that are kept: those of the last uploads.
        spellings_max: ways of writing a rendition that are known at a time.
        timeout_s: for a connect and for each read. redis-py's own defaults are made for jobs: they
            made a hung Redis cost 58 s a call (measured with 8.1.0).
    """

    def __init__(
        self,
        url: str,
        *,
        record_ttl_s: int,
        picture_ttl_s: int,
        fields_max: int,
        bytes_max: int = MAX_PICTURES_BYTES,
        small_bases_max: int = MAX_SMALL_BASES,
        spellings_max: int = MAX_SPELLINGS,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        super().__init__(
            CacheLink(url, timeout_s=timeout_s),
            picture_ttl_s=picture_ttl_s,
            fields_max=fields_max,
            bytes_max=bytes_max,
        )
        self._record_ttl_s = record_ttl_s
        self._small_bases_max = small_bases_max
        self._spellings_max = spellings_max
        self._publish = self._link.script("publish")
        self._withdraw = self._link.script("withdraw")
        self._record = self._link.script("record")
        self._find = self._link.script("find")
        self._teach = self._link.script("teach")

    # Records.

    def record(self, image_id: int) -> ImageRecord | Gone | None:
        """The record of an image, a tombstone, or None when only the database can tell."""
        fields = self._link.ask(lambda: self._record(keys=[f"record:{image_id}"]), away=None)
        if fields is None:
            return None
        state, text, rev = fields
        if state == b"gone":
            return Gone(image_id, int(rev))
        return load_record(text) if state == b"live" else None

    def record_by_sum(self, digest: str) -> ImageRecord | None:
        """The record that `digest` (md5 or sha256, lower-case hex) was last published with."""
        return self._found(f"sum:{digest}", digest, "md5sum", "sha256")

    def record_by_name(self, domain: str, dkey: str) -> ImageRecord | None:
        """The live record of that name."""
        return self._found(f"key:{domain}/{dkey}", f"{domain}/{dkey}", "name")

    def publish(
        self,
        record: ImageRecord,
        *,
        mark: str = "",
        sums: Sequence[str] = (),
        small_base: tuple[str, Picture] | None = None,
    ) -> bool:
        """Let readers find `record`, by its id, its name, and the given digests.

        `mark` is the identity that the picture has as a watermark (domain `watermark` only). With it goes
        its small base picture of up to 0.5 MiB with its ETag.
        False when Redis has a newer record or a tombstone, or is away.
        """
        name = f"{record.domain}/{record.dkey}"
        fields = {
            "rev": record.rev,
            "state": "live",
            "sha256": record.sha256,
            "md5sum": record.md5sum,
            "size": record.size,
            "type": CONTENT_TYPES[record.format],
            "name": name,
            "mark": mark,
            "info": description(record),
        }
        keys = [f"record:{record.id}", f"small:{record.sha256}", "smalls", f"key:{name}"]
        keys += [f"sum:{digest}" for digest in sums]
        fits = small_base is not None and len(small_base[1].body) <= MAX_SMALL_BASE_BYTES
        base = dump_picture(*small_base) if small_base and fits else b""
        pairs = [part for pair in fields.items() for part in pair]
        lives = (self._record_ttl_s, self._picture_ttl_s)
        arguments = [record.rev, *lives, record.id, base, self._small_bases_max, *pairs]
        return bool(self._link.tell(lambda: self._publish(keys=keys, args=arguments)))

    def bar(self, image_id: int, rev: int) -> bool:
        """Before a change is committed: no record older than `rev` is read or published from now on.

        Readers go to the database meanwhile, for 30 s at most, or until `rev` is published. False
        when Redis did not answer twice, so that what it has may be stale when it is back.
        """
        return self._insist(image_id, rev, "barred", BAR_TTL_S)

    def bury(self, image_id: int, rev: int) -> bool:
        """After a delete: leave a tombstone, which no record up to `rev` replaces. False as in `bar`."""
        return self._insist(image_id, rev, "gone", self._record_ttl_s)

    # What spellings mean.

    def teach(
        self, spelling: str, field: str, watermark: str | None, recipe: str, *, domain: str | None = None
    ) -> None:
        """Let nginx know which field a spelling of rendition parameters means.

        `spelling` is as `imagestore.spelling` cuts it. `field` is without the identity of the watermark,
        and `watermark` the dkey of the one that the spelling names. A spelling over 512 bytes, or one
        that nginx could not tell from another wish, is not taught; nor is anything while a process with
        another `recipe` was the last to call `agree_on`. With a `domain` it is meant there alone.
        """
        if not is_teachable(spelling, field):
            return
        lesson = f"{field}\n{watermark or ''}"
        name = f"{domain}/{spelling}" if domain else spelling
        arguments = [name, lesson, recipe, self._picture_ttl_s, self._spellings_max]

        def teach() -> Any:
            return self._link.tell(lambda: self._teach(keys=["spellings", "recipe"], args=arguments))

        if teach() == -1 and self.agree_on(recipe):
            teach()

    def agree_on(self, recipe: str) -> bool:
        """Forget what spellings mean if it was learnt under another recipe (settings that were changed).

        False when Redis is away: ask again later.
        """

        def agree() -> bool:
            # In one step: of many that agree at once, one forgets, before anything is taught anew.
            if self._redis.set("recipe", recipe, ex=self._picture_ttl_s, get=True) != recipe.encode():
                self._redis.unlink("spellings")
            return True

        return bool(self._link.tell(agree))

    # Life.

    def check(self) -> bool:
        """Whether Redis answers, within a second; for `/health/ready`."""
        return self._link.check()

    def usage(self) -> Usage | None:
        """What Redis says about its memory; None when it is away."""
        return self._link.usage()

    def setup(self) -> Setup | None:
        """How its Redis is set up; None when it is away."""
        return self._link.setup()

    def close(self) -> None:
        """Close the connections of this process."""
        self._link.close()

    def _found(self, pointer: str, meant: str, *fields: str) -> ImageRecord | None:
        text = self._link.ask(lambda: self._find(keys=[pointer], args=[meant, *fields]), away=None)
        return load_record(text) if text else None

    def _insist(self, image_id: int, rev: int, state: str, life_s: int) -> bool:
        arguments = [rev, state, life_s]
        if self._link.insist(lambda: self._withdraw(keys=[f"record:{image_id}"], args=arguments)):
            return True
        log.warning("image %d, rev %d: could not be %s in the cache", image_id, rev, state)
        return False


def open_cache(settings: Settings, url: str | None = None, *, timeout_s: float = TIMEOUT_S) -> Cache:
    """The cache that the settings name, or as they want it in another Redis (`url`).

    Raises:
        ValueError: the URL cannot be used.
    """
    return Cache(
        url or settings.redis_url,
        record_ttl_s=settings.record_ttl_s,
        picture_ttl_s=settings.cache_ttl_s,
        fields_max=settings.cache_fields_max,
        bytes_max=settings.cache_pictures_max_bytes,
        small_bases_max=settings.small_bases_max,
        timeout_s=timeout_s,
    )
