"""How a picture that is not in the cache is made: from the original, or from a base picture of it.

An upload leaves a small one for thumbnails. A large one is made together with the second picture that
anybody wants of a large original: the first one costs nothing more, and who wants a second one is
likely to want a third (docs/cache.md).
"""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from imagestore import bases
from imagestore.cache import Cache, Shortcut
from imagestore.engines import Mark, Wish
from imagestore.errors import ImagestoreError, OriginalDamaged, StorageUnavailable
from imagestore.identity import MarkDefaults
from imagestore.quarantine import seize
from imagestore.records import ImageRecord, Picture
from imagestore.render import Renderer
from imagestore.rendition import Rendition
from imagestore.settings import Settings
from imagestore.storage import Storage


@dataclass(frozen=True, slots=True)
class Wanted:
    """One picture, named for good: an image in a rendition, under its mark if it has one."""

    record: ImageRecord
    rendition: Rendition
    mark: ImageRecord | None
    field: str
    etag: str


class Maker:
    """Makes pictures; keeps nothing but large base pictures."""

    def __init__(
        self, settings: Settings, recipe: str, storage: Storage, cache: Cache, renderer: Renderer
    ) -> None:
        self._settings = settings
        self._recipe = recipe
        self._storage = storage
        self._cache = cache
        self._renderer = renderer

    def make(self, wanted: Wanted) -> Picture:
        """The picture.

        Raises:
            RejectedImage, InvalidParameter, ProcessingTimeout, Overloaded, StorageUnavailable
        """
        facts, sha256 = wanted.record.facts, wanted.record.sha256
        large = bases.large_base(facts, min_pixels=self._settings.base_min_pixels)
        rendition = large and self._served(wanted, large)
        if not (large and rendition):
            return self._from_original(wanted)
        etag = bases.large_base_etag(sha256, facts, self._recipe)
        base, pictures = self._cache.base(sha256, etag)
        if base:
            return self._from_base(base, large, replace(wanted, rendition=rendition))
        if base is None and pictures:
            with self._cache.turn_for_base(sha256) as ours:
                if ours:
                    return self._with_base(wanted, etag)
        return self._from_original(wanted)

    def shortcut(self, wanted: Wanted) -> Shortcut | None:
        """How the picture is made from the small base picture, if that would do."""
        small = bases.small_base(wanted.record.facts) if bases.keeps_small_bases(self._settings) else None
        rendition = small and self._served(wanted, small)
        if not (small and rendition):
            return None
        settled = replace(wanted, rendition=rendition)
        etag = bases.small_base_etag(wanted.record.sha256)
        return Shortcut(etag, lambda base: self._from_base(base, small, settled))

    def make_all(self, wanted: Sequence[Wanted]) -> Sequence[Picture | ImagestoreError]:
        """Several pictures of one image, or what `make` would raise, from the original.

        Raises:
            Overloaded, StorageUnavailable
        """
        with contextlib.ExitStack() as stack:
            source = stack.enter_context(self.fetch(wanted[0].record))
            wishes = [self._wish(each, stack) for each in wanted]
            return self._renderer.render_all(source, wanted[0].record.facts, wishes)

    def _served(self, wanted: Wanted, base: bases.Base) -> Rendition | None:
        rendition = bases.settled(wanted.record.facts, wanted.rendition, self._settings.encoding)
        return rendition if rendition and base.serves(rendition) else None

    def _from_base(self, body: bytes, base: bases.Base, wanted: Wanted) -> Picture:
        with contextlib.ExitStack() as stack:
            return self._renderer.render_base(body, base.facts, self._wish(wanted, stack))

    def _from_original(self, wanted: Wanted) -> Picture:
        with contextlib.ExitStack() as stack:
            source = stack.enter_context(self.fetch(wanted.record))
            wish = self._wish(wanted, stack)
            return self._renderer.render(source, wanted.record.facts, wish.rendition, wish.mark)

    def _with_base(self, wanted: Wanted, etag: str) -> Picture:
        """The picture, and from the same decode the base for the next ones."""
        record = wanted.record
        with contextlib.ExitStack() as stack:
            source = stack.enter_context(self.fetch(record))
            wishes = [self._wish(wanted, stack), Wish(bases.large_base_rendition(record.facts))]
            picture, base = self._renderer.render_all(source, record.facts, wishes)
        self._cache.keep_base(record.sha256, etag, base if isinstance(base, Picture) else None)
        if isinstance(picture, ImagestoreError):
            raise picture
        return picture

    @contextlib.contextmanager
    def fetch(self, record: ImageRecord) -> Iterator[Path]:
        """The original as a file. Other bytes than its hash says are a fault of the store, not of the
        picture, and nothing that is made of them may be served (promises §21)."""
        with contextlib.ExitStack() as stack:
            try:
                path = stack.enter_context(self._storage.fetch(record.sha256))
            except OriginalDamaged as error:
                raise self.damaged(record.sha256) from error
            yield path

    def damaged(self, sha256: str) -> StorageUnavailable:
        """The error for a damaged original, which nobody else is given any more."""
        seize(self._storage, self._cache, sha256)
        return StorageUnavailable("the stored original is damaged")

    def _wish(self, wanted: Wanted, stack: contextlib.ExitStack) -> Wish:
        mark = self._mark(wanted.mark, wanted.rendition, stack) if wanted.mark else None
        return Wish(wanted.rendition, mark)

    def _mark(self, mark: ImageRecord, wish: Rendition, stack: contextlib.ExitStack) -> Mark:
        """The watermark with every default settled: the request's word, then the mark's own."""
        own = MarkDefaults.of(mark)
        path = stack.enter_context(self.fetch(mark))
        return Mark(
            path,
            mark.facts,
            wish.watermark_position or own.position,
            own.opacity if wish.watermark_opacity is None else wish.watermark_opacity,
            own.scale if wish.watermark_scale is None else wish.watermark_scale,
            own.margin if wish.watermark_margin is None else wish.watermark_margin,
        )
