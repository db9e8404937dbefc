"""Records and pictures in Redis, for this package and for nginx (cachewords.py has the keys).

Pictures are immutable: their key is made from what they show. Records are not: each has a `rev`,
and Redis takes none that is older than the one it has. A Redis that is away or hung is a miss,
never an error.
"""

import contextlib
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from imagestore.cachelink import CacheLink
from imagestore.cachewords import (
    CachedPicture,
    Gone,
    Setup,
    Usage,
    dump_failure,
    dump_picture,
    is_remembered,
    load_failure,
    load_picture,
    load_record,
)
from imagestore.errors import ImagestoreError
from imagestore.flight import Flights
from imagestore.leases import Lease
from imagestore.records import CONTENT_TYPES, ImageRecord, Picture, description
from imagestore.spelling import is_teachable

__all__ = ["Cache", "CachedPicture", "Gone"]

log = logging.getLogger(__name__)

MAX_SPELLINGS = 10_000
"""Known at a time; together some megabytes. What is pushed out is taught again by its next request."""

MAX_PICTURES_BYTES = 16 * 1024 * 1024
"""Of one original's pictures together."""

MAX_PICTURE_BYTES = 8 * 1024 * 1024
"""Larger pictures are not kept: they would push out thousands of small ones."""

MAX_BASE_BYTES = 2 * 1024 * 1024
"""Base pictures of photos take 0.2 to 0.9 MiB (measured 2026-11)."""

BAR_TTL_S = 30
"""Longer than any transaction may take."""

FAILURE_TTL_S = 10
"""A bad picture is decoded once in this time (promises §12 allows up to 60 s)."""

PATIENCE_S = 12
"""A waiter then makes the picture itself; a render takes 10 s at most (promises §5)."""


class Cache:
    """The cache in one Redis; safe to share between threads, and to inherit by a fork.

    Args:
        url: `redis://`, `rediss://` or `unix://`.
        record_ttl_s, picture_ttl_s: life in Redis since the last write.
        fields_max, bytes_max: pictures kept per original, and their bytes together.
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
        spellings_max: int = MAX_SPELLINGS,
        timeout_s: float = 0.3,
    ) -> None:
        self._link = CacheLink(url, timeout_s=timeout_s)
        self._redis = self._link.redis
        self._leases = self._link.leases
        self._record_ttl_s = record_ttl_s
        self._picture_ttl_s = picture_ttl_s
        self._fields_max = fields_max
        self._bytes_max = bytes_max
        self._spellings_max = spellings_max
        self._flights: Flights[CachedPicture] = Flights(patience_s=PATIENCE_S)
        self._publish = self._link.script("publish")
        self._withdraw = self._link.script("withdraw")
        self._record = self._link.script("record")
        self._find = self._link.script("find")
        self._keep = self._link.script("keep")
        self._teach = self._link.script("teach")

    # Reads.

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

    def picture(self, sha256: str, field: str) -> CachedPicture | None:
        """A kept picture of the original `sha256`."""
        value = self._link.ask(lambda: self._redis.hget(f"picture:{sha256}", field), away=None)
        return None if value is None else load_picture(value)

    def base(self, sha256: str, etag: str) -> tuple[bytes | None, int]:
        """The base picture of an original, if it is the one that `etag` names (empty: none can be had),
        else None; and how many pictures of the original are kept."""

        def ask() -> tuple[bytes | None, int]:
            both = self._redis.pipeline(transaction=False)
            both.get(f"base:{sha256}")
            both.hlen(f"picture:{sha256}")
            value, pictures = both.execute()
            found = None if value is None else load_picture(value)
            return found.picture.body if found and found.etag == etag else None, int(pictures)

        answer: tuple[bytes | None, int] = self._link.ask(ask, away=(None, 0))
        return answer

    # Writes.

    def publish(self, record: ImageRecord, *, mark: str = "", sums: Sequence[str] = ()) -> bool:
        """Let readers find `record`, by its id, its name, and the given digests.

        `mark` is the identity that the picture has as a watermark (domain `watermark` only).
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
        keys = [f"record:{record.id}", f"key:{name}", *(f"sum:{digest}" for digest in sums)]
        pairs = [part for pair in fields.items() for part in pair]
        arguments = [record.rev, self._record_ttl_s, record.id, *pairs]
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

    def keep(
        self, sha256: str, field: str, etag: str, picture: Picture, *, lease: Lease | None = None
    ) -> None:
        """Keep a picture of up to 8 MiB; others of that original make room for it. With that `lease` ends."""
        if len(picture.body) > MAX_PICTURE_BYTES:
            return
        keys = [f"picture:{sha256}"]
        arguments = [
            field,
            dump_picture(etag, picture),
            self._picture_ttl_s,
            self._fields_max,
            self._bytes_max,
        ]
        if lease:
            keys.append(lease.key)
            arguments.append(lease.token)
        kept = self._link.tell(lambda: self._keep(keys=keys, args=arguments))
        if lease and kept is not None:
            lease.ended = True

    def keep_base(self, sha256: str, etag: str, base: Picture | None) -> None:
        """Keep a base picture of up to 2 MiB beside the pictures; None, or a larger one, is kept as the
        word that none can be had."""
        fits = base is not None and len(base.body) <= MAX_BASE_BYTES
        value = dump_picture(etag, base if base and fits else Picture("", b""))
        self._link.tell(lambda: self._redis.set(f"base:{sha256}", value, ex=self._picture_ttl_s))

    def turn_for_base(self, sha256: str) -> contextlib.AbstractContextManager[bool]:
        """Whether the caller may make the base picture: nobody else does while the block runs."""
        return self._leases.hold_if_free(f"lock:{sha256}:base")

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

    def remember_failure(self, sha256: str, field: str, error: ImagestoreError) -> None:
        """Answer the same for 10 s; only for errors that lie in the picture or in the wish."""
        if is_remembered(error):
            key = f"failure:{sha256}:{field}"
            self._link.tell(lambda: self._redis.set(key, dump_failure(error), ex=FAILURE_TTL_S))

    def forget_pictures(self, sha256: str) -> None:
        """Drop all pictures of an original, as a purge does."""
        self._link.tell(lambda: self._redis.unlink(f"picture:{sha256}", f"base:{sha256}"))

    # One for all.

    def single_flight(self, sha256: str, field: str, etag: str, make: Callable[[], Picture]) -> CachedPicture:
        """The picture, from the cache or made by one caller while all others wait, in every process.

        The maker keeps it before the others look. A maker that was killed blocks them for 3 s; one
        that takes over 12 s no longer. Without Redis it is one maker per process.

        Raises:
            ImagestoreError: what `make` raised, also in the callers that waited for it.
        """

        def lead() -> CachedPicture:
            found: CachedPicture | None = None
            failed: ImagestoreError | None = None

            def take(key: str, token: str, life_ms: int) -> bool:
                nonlocal found, failed
                taken, (picture, failure) = self._link.take_and_look(
                    (key, token, life_ms),
                    lambda trip: trip.hget(f"picture:{sha256}", field),
                    lambda trip: trip.get(f"failure:{sha256}:{field}"),
                )
                found = None if picture is None else load_picture(picture)
                failed = None if failure is None else load_failure(failure)
                return taken or bool(found or failed)

            with self._leases.hold(f"lock:{sha256}:{field}", patience_s=PATIENCE_S, take=take) as lease:
                if found:
                    return found
                if failed:
                    raise failed
                try:
                    picture = make()
                except ImagestoreError as error:
                    self.remember_failure(sha256, field, error)
                    raise
                self.keep(sha256, field, etag, picture, lease=lease)
                return CachedPicture(etag, picture)

        return self._flights.run((sha256, field), lead, alone=lambda: CachedPicture(etag, make()))

    def keep_missing(
        self,
        sha256: str,
        etags: Mapping[str, str],
        make: Callable[[Sequence[str]], Sequence[Picture | ImagestoreError]],
    ) -> Mapping[str, ImagestoreError | None]:
        """Keep those of the pictures (field -> ETag) that are missing and that nobody makes now.

        `make` is given their fields and gives in the same order what became of each; failures are
        remembered as those of `single_flight`. Gives for the fields that are seen to, and not for
        those that somebody else makes, why they could not be made, or None.
        """
        missing = [field for field in etags if self.picture(sha256, field) is None]
        seen_to: dict[str, ImagestoreError | None] = {field: None for field in etags if field not in missing}
        with self._leases.hold_free([f"lock:{sha256}:{field}" for field in missing]) as locks:
            # Looked at again: a lease is free too when its picture has just been made.
            free = [lock.split(":", 2)[2] for lock in locks]
            missing = [field for field in free if self.picture(sha256, field) is None]
            for field, result in zip(missing, make(missing) if missing else [], strict=True):
                if isinstance(result, ImagestoreError):
                    self.remember_failure(sha256, field, result)
                    seen_to[field] = result
                else:
                    self.keep(sha256, field, etags[field], result)
                    seen_to[field] = None
        return seen_to

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
