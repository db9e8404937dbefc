"""The pictures in the cache: kept for whoever asks next, and made once for all who ask at the same time.

Pictures are immutable: their key is made from what they show. Of all callers in all processes one
makes a picture, while the others wait for it.
"""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from imagestore.cachelink import CacheLink
from imagestore.cachewords import (
    CachedPicture,
    Shortcut,
    dump_failure,
    dump_picture,
    is_remembered,
    load_failure,
    load_picture,
)
from imagestore.errors import ImagestoreError
from imagestore.flight import Flights
from imagestore.leases import Lease
from imagestore.records import Picture

MAX_PICTURES_BYTES = 16 * 1024 * 1024
"""Of one original's pictures together."""

MAX_PICTURE_BYTES = 8 * 1024 * 1024
"""Larger pictures are not kept: they would push out thousands of small ones."""

MAX_BASE_BYTES = 2 * 1024 * 1024
"""Large base pictures of photos take 0.2 to 0.9 MiB (measured 2026-11)."""

MAX_SMALL_BASE_BYTES = 512 * 1024
"""Those of photos take 0.03 to 0.2 MiB (measured 2026-11)."""

FAILURE_TTL_S = 10
"""A bad picture is decoded once in this time (promises §12 allows up to 60 s)."""

PATIENCE_S = 12
"""A waiter then makes the picture itself; a render takes 10 s at most (promises §5)."""


class PictureCache:
    """The part of `Cache` that has pictures; the arguments are explained there."""

    def __init__(self, link: CacheLink, *, picture_ttl_s: int, fields_max: int, bytes_max: int) -> None:
        self._link = link
        self._redis = link.redis
        self._leases = link.leases
        self._picture_ttl_s = picture_ttl_s
        self._fields_max = fields_max
        self._bytes_max = bytes_max
        self._flights: Flights[CachedPicture] = Flights(patience_s=PATIENCE_S)
        self._keep = link.script("keep")

    # Kept.

    def picture(self, sha256: str, field: str) -> CachedPicture | None:
        """A kept picture of the original `sha256`."""
        value = self._link.ask(lambda: self._redis.hget(f"picture:{sha256}", field), away=None)
        return None if value is None else load_picture(value)

    def base(self, sha256: str, etag: str) -> tuple[bytes | None, int]:
        """The large base picture of an original, if it is the one that `etag` names (empty: none can be had),
        else None; and how many pictures of the original are kept."""

        def ask() -> tuple[bytes | None, int]:
            both = self._redis.pipeline(transaction=False)
            both.get(f"base:{sha256}")
            both.hlen(f"picture:{sha256}")
            value, pictures = both.execute()
            return _body(value, etag), int(pictures)

        answer: tuple[bytes | None, int] = self._link.ask(ask, away=(None, 0))
        return answer

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
        """Keep a large base picture of up to 2 MiB beside the pictures; None, or a larger one, is kept as the
        word that none can be had."""
        fits = base is not None and len(base.body) <= MAX_BASE_BYTES
        value = dump_picture(etag, base if base and fits else Picture("", b""))
        self._link.tell(lambda: self._redis.set(f"base:{sha256}", value, ex=self._picture_ttl_s))

    def turn_for_base(self, sha256: str) -> contextlib.AbstractContextManager[bool]:
        """Whether the caller may make the large base picture: nobody else does while the block runs."""
        return self._leases.hold_if_free(f"lock:{sha256}:base")

    def remember_failure(self, sha256: str, field: str, error: ImagestoreError) -> None:
        """Answer the same for 10 s; only for errors that lie in the picture or in the wish."""
        if is_remembered(error):
            key = f"failure:{sha256}:{field}"
            self._link.tell(lambda: self._redis.set(key, dump_failure(error), ex=FAILURE_TTL_S))

    def forget_pictures(self, sha256: str) -> None:
        """Drop all pictures of an original, as a purge does."""
        keys = [f"{kind}:{sha256}" for kind in ("picture", "base", "small")]
        self._link.tell(lambda: self._redis.unlink(*keys))

    # One for all.

    def single_flight(
        self,
        sha256: str,
        field: str,
        etag: str,
        make: Callable[[], Picture],
        *,
        shortcut: Shortcut | None = None,
    ) -> CachedPicture:
        """The picture, from the cache or made by one caller while all others wait, in every process; by the
        `shortcut` if its base is there.

        The maker keeps it before the others look. A maker that was killed blocks them for 3 s; one
        that takes over 12 s no longer. Without Redis it is one maker per process.

        Raises:
            ImagestoreError: what `make` raised, also in the callers that waited for it.
        """

        def lead() -> CachedPicture:
            found: CachedPicture | None = None
            failed: ImagestoreError | None = None
            base: bytes | None = None

            def take(key: str, token: str, life_ms: int) -> bool:
                nonlocal found, failed, base
                taken, (picture, failure, *bases) = self._link.take_and_look(
                    (key, token, life_ms),
                    lambda trip: trip.hget(f"picture:{sha256}", field),
                    lambda trip: trip.get(f"failure:{sha256}:{field}"),
                    *([lambda trip: trip.get(f"small:{sha256}")] if shortcut else []),
                )
                base = _body(bases[0], shortcut.etag) if shortcut else None
                found = None if picture is None else load_picture(picture)
                failed = None if failure is None else load_failure(failure)
                return taken or bool(found or failed)

            with self._leases.hold(f"lock:{sha256}:{field}", patience_s=PATIENCE_S, take=take) as lease:
                if found:
                    return found
                if failed:
                    raise failed
                try:
                    picture = shortcut.make(base) if shortcut and base else make()
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
        missing = self._missing(sha256, list(etags))
        seen_to: dict[str, ImagestoreError | None] = {field: None for field in etags if field not in missing}
        with self._leases.hold_free([f"lock:{sha256}:{field}" for field in missing]) as leases:
            held = {lease.key.split(":", 2)[2]: lease for lease in leases}
            # Looked at again: a lease is free too when its picture has just been made.
            missing = self._missing(sha256, list(held))
            for field, result in zip(missing, make(missing) if missing else [], strict=True):
                if isinstance(result, ImagestoreError):
                    self.remember_failure(sha256, field, result)
                    seen_to[field] = result
                else:
                    self.keep(sha256, field, etags[field], result, lease=held[field])
                    seen_to[field] = None
        return seen_to

    def _missing(self, sha256: str, fields: Sequence[str]) -> list[str]:
        """Those of the pictures that are not kept."""

        def ask() -> list[Any]:
            trip = self._redis.pipeline(transaction=False)
            for field in fields:
                trip.hexists(f"picture:{sha256}", field)
            return trip.execute()

        kept = self._link.ask(ask, away=[False] * len(fields)) if fields else []
        return [field for field, is_kept in zip(fields, kept, strict=True) if not is_kept]


def _body(value: bytes | None, etag: str) -> bytes | None:
    """Of a kept picture, if it is the one that `etag` names."""
    found = None if value is None else load_picture(value)
    return found.picture.body if found and found.etag == etag else None
