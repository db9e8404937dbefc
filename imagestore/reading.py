"""The read side: from a name to a record, from a record and a wish to a finished picture."""

import contextlib
import hashlib
from collections.abc import Iterator, Sequence
from typing import BinaryIO

from imagestore.cache import Cache, CachedPicture, Gone
from imagestore.catalog import Catalog
from imagestore.errors import ImageNotFound, ImagestoreError, InvalidRequest, Unavailable
from imagestore.identity import cache_field, mark_identity, picture_etag, recipe
from imagestore.imagesearch import ImagePage, ImageSearch
from imagestore.making import Maker, Wanted
from imagestore.metrics import count_picture
from imagestore.names import WATERMARK_DOMAIN
from imagestore.records import CONTENT_TYPES, ImageRecord, LocalFile, Picture, RemoteObject
from imagestore.render import Renderer
from imagestore.rendition import Rendition
from imagestore.settings import Settings
from imagestore.storage import Storage

__all__ = ["Reads", "Wanted"]


class Reads:
    """Everything that a GET may ask for."""

    def __init__(
        self, settings: Settings, catalog: Catalog, storage: Storage, cache: Cache, renderer: Renderer
    ) -> None:
        self._settings = settings
        self._catalog = catalog
        self._storage = storage
        self._cache = cache
        self._recipe = recipe(settings.image_engine, settings.encoding)
        self._maker = Maker(settings, self._recipe, storage, cache, renderer)
        self._presets = frozenset(settings.presets.renditions)
        # What a spelling means depends on these too.
        self._lessons = (
            f"{self._recipe} {sorted(settings.presets.parameters.items())} {settings.variants.text}"
        )

    def agree_with_cache(self) -> bool:
        """Let the cache forget what spellings meant under other settings; False when it is away."""
        return self._cache.agree_on(self._lessons)

    def by_id(self, image_id: int) -> ImageRecord:
        """The image with that number.

        Raises:
            ImageNotFound: there is none.
        """
        cached = self._cache.record(image_id)
        if isinstance(cached, Gone):
            raise ImageNotFound(f"no image has id {image_id}")
        return cached or self._learn(self._catalog.by_id(image_id), f"no image has id {image_id}")

    def by_sum(self, digest: str) -> ImageRecord:
        """The image that has held the content with this md5 or sha256 longest (promises §8).

        Raises:
            ImageNotFound: no image has that content.
        """
        cached = self._cache.record_by_sum(digest)
        return cached or self._learn(self._catalog.by_sum(digest), f"no image has sum {digest}", digest)

    def by_name(self, domain: str, dkey: str) -> ImageRecord:
        """The image of that name.

        Raises:
            ImageNotFound: the name is free.
        """
        cached = self._cache.record_by_name(domain, dkey)
        return cached or self._learn(self._catalog.by_key(domain, dkey), f"no image is named {domain}/{dkey}")

    def search(self, search: ImageSearch, limit: int) -> ImagePage:
        """Up to `limit` images of a search: by dkey within a domain, else by id.

        Raises:
            InvalidRequest: a prefix without a domain.
        """
        if search.prefix and search.domain is None:
            raise InvalidRequest("prefix is given without domain, expected both")
        return self._catalog.search(search, limit=limit)

    def wanted(self, record: ImageRecord, rendition: Rendition) -> Wanted:
        """The picture that an image and a rendition make together; costs nothing but the mark's record.

        What the domain's rule (`variants`) makes of the rendition is what is wanted.

        Raises:
            ImageNotFound: the watermark that the rendition names does not exist.
            Forbidden: the domain does not give that rendition.
        """
        rendition = self._settings.variants.of(record.domain).settle(rendition, self._presets)
        mark = self.by_name(WATERMARK_DOMAIN, rendition.watermark) if rendition.watermark else None
        field = cache_field(rendition, self._recipe, mark_identity(mark) if mark else "")
        return Wanted(record, rendition, mark, field, picture_etag(record.sha256, field))

    def picture(self, wanted: Wanted, *, spelling: str | None = None) -> CachedPicture:
        """The finished picture, from the cache or rendered now, once for all who wait for it.

        `spelling` is how the request wrote the rendition; nginx will know it from now on.

        Raises:
            RejectedImage, InvalidParameter, ProcessingTimeout, Overloaded, StorageUnavailable
        """
        sha256 = wanted.record.sha256
        cached = self._cache.picture(sha256, wanted.field)
        count_picture("cache" if cached else "render")
        found = cached or self._cache.single_flight(
            sha256,
            wanted.field,
            wanted.etag,
            lambda: self._maker.make(wanted),
            shortcut=self._maker.shortcut(wanted),
        )
        if spelling:
            field = cache_field(wanted.rendition, self._recipe)
            domain = wanted.record.domain
            # Where a domain has a rule of its own it may mean something else there than elsewhere.
            own = domain if domain in self._settings.variants.named else None
            self._cache.teach(spelling, field, wanted.rendition.watermark, self._lessons, domain=own)
        return found

    def keep_all(self, wanted: Sequence[Wanted]) -> Sequence[ImagestoreError | None]:
        """Let the cache have all these pictures of one image; the missing ones are rendered together.

        Gives for each why it could not be made (what `picture` would raise), or None.

        Raises:
            Overloaded, StorageUnavailable
        """
        by_field = {each.field: each for each in wanted}
        seen_to = self._cache.keep_missing(
            wanted[0].record.sha256,
            {each.field: each.etag for each in wanted},
            lambda fields: self._maker.make_all([by_field[field] for field in fields]),
        )
        # Somebody else makes the others now, and is waited for.
        return [seen_to[each.field] if each.field in seen_to else self._failure(each) for each in wanted]

    def small_original(self, wanted: Wanted) -> CachedPicture | None:
        """An original from memory; one that is small enough and was not there is kept from now on.

        None for large ones: those travel by `locate` or `read`.
        """
        record = wanted.record
        if record.size > self._settings.cache_original_max_bytes:
            return None
        cached = self._cache.picture(record.sha256, wanted.field)
        if cached is None:
            with self._storage.read(record.sha256) as stream:
                picture = Picture(CONTENT_TYPES[record.format], stream.read())
            if hashlib.sha256(picture.body).hexdigest() != record.sha256:
                raise self._maker.damaged(record.sha256)
            self._cache.keep(record.sha256, wanted.field, wanted.etag, picture)
            cached = CachedPicture(wanted.etag, picture)
        return cached

    def locate(self, record: ImageRecord) -> LocalFile | RemoteObject | None:
        """Where nginx can fetch the original itself; None if it has to come through `read`.

        Raises:
            StorageUnavailable: the original is not there, or not of the size that the row says.
        """
        return self._storage.locate(record.sha256, record.size)

    @contextlib.contextmanager
    def read(self, record: ImageRecord) -> Iterator[BinaryIO]:
        """The original's bytes as a stream."""
        with self._storage.read(record.sha256) as stream:
            yield stream

    def _learn(self, record: ImageRecord | None, otherwise: str, digest: str | None = None) -> ImageRecord:
        if record is None:
            raise ImageNotFound(otherwise)
        self._cache.publish(record, mark=mark_identity(record), sums=[digest] if digest else [])
        return record

    def _failure(self, wanted: Wanted) -> ImagestoreError | None:
        try:
            self.picture(wanted)
        except Unavailable:
            raise
        except ImagestoreError as error:
            return error
        return None
