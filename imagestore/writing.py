"""The write side: upload, replace, edit, delete.

The order is what keeps the promises. Storing: the file is durable before its row is. Changing or
removing a row: its cached record is barred first, so that nobody can put the old one back while
the change is under way; if the cache cannot be reached, the row notes in the same transaction
that a record is owed, which is paid when the cache is back (debts.py).
"""

import logging
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from imagestore.cache import Cache
from imagestore.catalog import Catalog
from imagestore.debts import Debts
from imagestore.errors import ImageNotFound, KeyConflict, PreconditionFailed, QuotaExceeded
from imagestore.identity import MarkDefaults
from imagestore.names import WATERMARK_DOMAIN
from imagestore.probe import sniff
from imagestore.records import Facts, ImageRecord, Picture, Spooled
from imagestore.render import Renderer
from imagestore.storage import Storage
from imagestore.strictjson import merge_patch

log = logging.getLogger(__name__)

MAX_RACES = 5
"""How often a create-or-replace starts over when others change the same name meanwhile."""

MAX_EDIT_RACES = 40
"""The same for an edit, which is short: 25 at once of one image ended well (2026-11)."""

EDIT_PAUSE_MS = 100
"""An edit that lost a race waits for up to so long, so that not all start over at once."""

Precondition = Callable[[ImageRecord | None], None]
"""Raises PreconditionFailed unless the image is as the caller expects it."""


@dataclass(frozen=True, slots=True)
class Stored:
    """What a write did, and the image as it is now."""

    record: ImageRecord
    outcome: Literal["created", "replaced", "unchanged"]


@dataclass(frozen=True, slots=True)
class _Accepted:
    """A body that is stored and known to be a whole picture."""

    spooled: Spooled
    facts: Facts
    image_metadata: Mapping[str, Any]
    base: Picture | None  # the small one that the check left


class Writes:
    """Everything that changes what is stored."""

    def __init__(
        self,
        catalog: Catalog,
        storage: Storage,
        cache: Cache,
        renderer: Renderer,
        announce: Callable[[ImageRecord], object] = lambda record: None,
        collect: Callable[[str], object] = lambda sha256: None,
        *,
        small_bases: bool = False,
    ) -> None:
        """`announce` is told of every image that has new bytes; `collect` removes an original at once
        unless a row needs it; `small_bases`: what is stored leaves one in the cache (bases.py)."""
        self._announce = announce
        self._collect = collect
        self._catalog = catalog
        self._storage = storage
        self._cache = cache
        self._renderer = renderer
        self._small_bases = small_bases
        self.debts = Debts(catalog, cache)

    def upload(
        self,
        spooled: Spooled,
        domain: str,
        dkey: str | None,
        user_metadata: Mapping[str, Any] | None,
        *,
        overwrite: bool = False,
        precondition: Precondition | None = None,
        truncated_too: bool = False,
    ) -> Stored:
        """Store a picture under a name, or under one made from its hash.

        The same bytes under the same name again change nothing (but new `user_metadata` is taken
        with `overwrite`). With `truncated_too` a picture that is cut short and can be shown is
        stored too, with `truncated` in its image metadata.

        Raises:
            KeyConflict: the name holds other bytes and `overwrite` is not given.
            UnsupportedMediaType, RejectedImage, InvalidParameter, PreconditionFailed, Unavailable,
            InsufficientStorage
        """
        _check_mark(domain, user_metadata)
        accepted: _Accepted | None = None
        for _ in range(MAX_RACES):
            existing, known, has_room = self._catalog.before_upload(domain, dkey, spooled.content)
            if precondition:
                precondition(existing)
            if existing and existing.sha256 != spooled.content.sha256 and not overwrite:
                raise KeyConflict(f"{domain}/{dkey} holds another picture; send overwrite=1 to replace it")
            if existing is None and not has_room:
                # Told before anything is stored; the row's transaction has the last word.
                existing = self._unnamed(domain, known) if known and not dkey else None
                if existing is None:
                    raise QuotaExceeded(f"the quota of domain {domain!r} is used up")
            accepted = accepted or self._accept(spooled, known, truncated_too)
            dkey = dkey or _own_name(spooled.content.sha256, accepted.facts.format)
            try:
                if existing is None:
                    return self._create(accepted, domain, dkey, user_metadata)
                return self._overwrite(existing, accepted, user_metadata if overwrite else None, precondition)
            except (KeyConflict, ImageNotFound):
                # Somebody took or freed the name since we looked; look again.
                continue
        raise KeyConflict(f"{domain}/{dkey} is being changed by others; try again")

    def replace(
        self,
        image_id: int,
        spooled: Spooled,
        user_metadata: Mapping[str, Any] | None,
        *,
        precondition: Precondition | None = None,
    ) -> Stored:
        """Put other bytes in the place of an image's present ones; its id and name stay.

        Raises:
            ImageNotFound: there is no such image; further as `upload`.
        """
        existing = self._existing(image_id, precondition)
        _check_mark(existing.domain, user_metadata)
        known = self._catalog.by_sum(spooled.content.sha256)
        return self._overwrite(existing, self._accept(spooled, known), user_metadata, precondition)

    def edit(
        self, image_id: int, patch: dict[str, Any], *, precondition: Precondition | None = None
    ) -> ImageRecord:
        """Lay a JSON merge patch (RFC 7396) over an image's user metadata.

        Raises:
            ImageNotFound, PreconditionFailed, InvalidRequest, InvalidParameter
        """
        for attempt in range(MAX_EDIT_RACES):
            existing = self._existing(image_id, precondition)
            metadata = merge_patch(dict(existing.user_metadata), patch)
            _check_mark(existing.domain, metadata)
            barred = self._cache.bar(existing.id, existing.rev + 1)
            try:
                # Always guarded: a merge into metadata that changed meanwhile would undo that change.
                record = self._catalog.update_user_metadata(
                    existing.id, metadata, expected_rev=existing.rev, owe=not barred
                )
            except PreconditionFailed:
                if precondition or attempt == MAX_EDIT_RACES - 1:
                    raise
                time.sleep(secrets.randbelow(EDIT_PAUSE_MS) / 1000)
            else:
                self.debts.note(owed=not barred)
                self.debts.publish(record)
                return record
        raise AssertionError("the last attempt returns or raises")

    def delete(
        self, image_id: int, *, precondition: Precondition | None = None, purge: bool = False
    ) -> ImageRecord:
        """Remove an image; gives it as it was. Its file stays until a collection finds it unneeded, or
        goes at once with `purge`, unless another image has the same bytes.

        Raises:
            ImageNotFound, PreconditionFailed
        """
        existing = self._existing(image_id, precondition)
        barred = self._cache.bar(existing.id, existing.rev + 1)
        expected = existing.rev if precondition else None
        record = self._catalog.delete(existing.id, expected_rev=expected, owe=not barred)
        self.debts.note(owed=not barred)
        self.debts.bury(record.id)
        self._forget_unused(record.sha256)
        log.info("deleted image_id=%d domain=%s sha256=%s", record.id, record.domain, record.sha256)
        if purge:
            self._collect(record.sha256)
        return record

    def delete_named(
        self, domain: str, dkey: str, *, precondition: Precondition | None = None, purge: bool = False
    ) -> ImageRecord:
        """Remove the image of that name; raises as `delete`."""
        existing = self._catalog.by_key(domain, dkey)
        if existing is None:
            raise ImageNotFound(f"no image is named {domain}/{dkey}")
        return self.delete(existing.id, precondition=precondition, purge=purge)

    def _unnamed(self, domain: str, known: ImageRecord) -> ImageRecord | None:
        """The row that the same bytes have already under the name made from their hash."""
        return self._catalog.by_key(domain, _own_name(known.sha256, known.format))

    def _accept(self, spooled: Spooled, known: ImageRecord | None, truncated_too: bool = False) -> _Accepted:
        """Check a body and make it durable; `known` has the same bytes, which were checked then."""
        sniff(spooled.head)
        if known and (truncated_too or not known.image_metadata.get("truncated")):
            facts, image_metadata, base = known.facts, known.image_metadata, None
        else:
            facts, inspection = self._renderer.inspect(
                spooled.path, truncated_too=truncated_too, with_base=self._small_bases
            )
            told = {"frames": facts.frames, "orientation": facts.orientation, "alpha": facts.alpha}
            image_metadata = {**told, **inspection.seen}
            base = inspection.base
        if self._storage.put(spooled.content.sha256, spooled.path):
            log.warning("an upload healed a damaged original: sha256=%s", spooled.content.sha256)
            self._cache.forget_pictures(spooled.content.sha256)
        return _Accepted(spooled, facts, image_metadata, base)

    def _assure(self, accepted: _Accepted) -> None:
        """After the row is there: its file too, whatever a collection did in between."""
        self._storage.assure(accepted.spooled.content.sha256, accepted.spooled.path)

    def _create(
        self, accepted: _Accepted, domain: str, dkey: str, user_metadata: Mapping[str, Any] | None
    ) -> Stored:
        record = self._catalog.insert(
            domain,
            dkey,
            accepted.spooled.content,
            accepted.facts,
            accepted.image_metadata,
            user_metadata or {},
        )
        self._assure(accepted)
        self.debts.publish(record, accepted.base)
        self._announce(record)
        log.info("stored image_id=%d domain=%s sha256=%s", record.id, domain, record.sha256)
        return Stored(record, "created")

    def _overwrite(
        self,
        existing: ImageRecord,
        accepted: _Accepted,
        user_metadata: Mapping[str, Any] | None,
        precondition: Precondition | None,
    ) -> Stored:
        same_bytes = existing.sha256 == accepted.spooled.content.sha256
        if same_bytes and (user_metadata is None or user_metadata == existing.user_metadata):
            return Stored(existing, "unchanged")
        barred = self._cache.bar(existing.id, existing.rev + 1)
        record = self._catalog.replace(
            existing.id,
            accepted.spooled.content,
            accepted.facts,
            accepted.image_metadata,
            user_metadata=user_metadata,
            expected_rev=existing.rev if precondition else None,
            owe=not barred,
        )
        self._assure(accepted)
        self.debts.note(owed=not barred)
        self.debts.publish(record, accepted.base)
        if not same_bytes:
            self._forget_unused(existing.sha256)
            self._announce(record)
        log.info("replaced image_id=%d rev=%d sha256=%s", record.id, record.rev, record.sha256)
        return Stored(record, "replaced")

    def _existing(self, image_id: int, precondition: Precondition | None) -> ImageRecord:
        """The row itself, not its cached record: a change starts from the truth."""
        record = self._catalog.by_id(image_id)
        if record is None:
            raise ImageNotFound(f"no image has id {image_id}")
        if precondition:
            precondition(record)
        return record

    def _forget_unused(self, sha256: str) -> None:
        if self._catalog.references(sha256) == 0:
            self._cache.forget_pictures(sha256)


def _own_name(sha256: str, image_format: str) -> str:
    """The dkey of a picture that was given none."""
    return f"{sha256}.{image_format}"


def _check_mark(domain: str, user_metadata: Mapping[str, Any] | None) -> None:
    if domain == WATERMARK_DOMAIN and user_metadata is not None:
        MarkDefaults.parse(dict(user_metadata))
