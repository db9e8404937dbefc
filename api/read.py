"""Pictures out: by id, by content sum, by name."""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext

import falcon

from api.errors import unknown_parameter
from api.responses import (
    Streamed,
    content_disposition,
    etag_listed,
    not_modified,
    picture_headers,
    send_image,
)
from api.signatures import admit, as_if_there
from imagestore.errors import InvalidParameter, InvalidRequest, NotFound, PreconditionFailed
from imagestore.names import (
    MAX_DKEY_CHARACTERS,
    RESERVED_DOMAINS,
    check_dkey,
    check_domain,
    check_id,
    check_sum,
)
from imagestore.query import parse_query
from imagestore.reading import Wanted
from imagestore.records import CONTENT_TYPES, ImageRecord, LocalFile
from imagestore.rendition import PARAMETER_NAMES, Rendition
from imagestore.service import ImageStore
from imagestore.signing import without_signature
from imagestore.spelling import spelling_of

PICTURE_NAMES = ("id", "sum")
"""Parameters by which a picture is asked for."""

RECORD_NAMES = (*PICTURE_NAMES, "domain", "dkey")
"""Parameters by which it is asked what is known of an image."""


class ImageRead:
    """`/image/read?id=` or `sum=`, with the parameters of a rendition."""

    def __init__(self, store: ImageStore) -> None:
        self._store = store

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        parameters = without_signature(parse_query(req.query_string))
        given = {name: parameters.pop(name) for name in PICTURE_NAMES if name in parameters}
        download = _file_name(parameters.pop("download", None))
        accept = req.get_header("Accept") or ""
        is_preset = parameters.keys() == {"preset"}
        parameters = dict(self._store.settings.presets.resolve(parameters))
        rendition = Rendition.from_parameters(parameters).negotiated(accept)
        with as_if_there(self._store, req):
            record = find(self._store, given, PICTURE_NAMES)
        rule = self._store.settings.variants.of(record.domain)
        needs_signature = rule.kind == "signed" and not (rendition.is_original or is_preset)
        admission = admit(self._store, req, record.domain, always=needs_signature)
        wanted = self._store.reads.wanted(record, rendition)
        # A watermark may be replaced, whatever it lies on.
        lasts = "sum" in given and rendition.watermark is None
        cache_control = admission.cache_control(None if lasts else self._store.settings.public_max_age_s)
        if parameters.get("format") == "auto":
            resp.set_header("Vary", "Accept")
        send_picture(
            self._store,
            req,
            resp,
            wanted,
            cache_control,
            download,
            spelling=spelling_of(req.query_string, accept),
        )

    on_head = on_get


class ImageInfo:
    """`/image/info?id=`, `sum=` or `domain=&dkey=`: everything known about an image."""

    def __init__(self, store: ImageStore) -> None:
        self._store = store

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        parameters = without_signature(parse_query(req.query_string))
        for name in parameters.keys() - set(RECORD_NAMES):
            raise unknown_parameter(name, "id, sum, or domain and dkey")
        domain = parameters.get("domain")
        if domain is not None:
            # Before the look, so that nobody learns which names there are.
            admit(self._store, req, check_domain(domain))
        with as_if_there(self._store, req) if domain is None else nullcontext():
            record = find(self._store, parameters, RECORD_NAMES)
        if domain is None:
            admit(self._store, req, record.domain)
        send_record(req, resp, record)

    on_head = on_get


class NamedOriginal:
    """GET of `/{domain}/{dkey}`: the original under that name."""

    def __init__(self, store: ImageStore) -> None:
        self._store = store

    def on_get(self, req: falcon.Request, resp: falcon.Response, domain: str, dkey: str) -> None:
        parameters = without_signature(parse_query(req.query_string))
        download = _file_name(parameters.pop("download", None))
        for name in parameters:
            hint = (
                "the original only; use /image/read?id= for renditions"
                if name in PARAMETER_NAMES
                else "download"
            )
            raise unknown_parameter(name, hint)
        check_route(domain)
        admission = admit(self._store, req, check_domain(domain))
        record = self._store.reads.by_name(domain, check_dkey(dkey))
        wanted = self._store.reads.wanted(record, Rendition())
        cache_control = admission.cache_control(self._store.settings.public_max_age_s)
        send_picture(self._store, req, resp, wanted, cache_control, download)

    on_head = on_get


def check_route(domain: str) -> None:
    """A reserved first segment is a route that does not exist, not a bad domain.

    Raises:
        NotFound: `domain` is reserved.
    """
    if domain in RESERVED_DOMAINS:
        raise NotFound("there is no such route")


def find(store: ImageStore, parameters: Mapping[str, str], names: Sequence[str]) -> ImageRecord:
    """The image that exactly one of id, sum, and domain with dkey names.

    `names` are those of the parameters that the route takes: `PICTURE_NAMES` or `RECORD_NAMES`.

    Raises:
        InvalidRequest: none or more than one of them is given.
        ImageNotFound, InvalidParameter, InvalidKey
    """
    image_id, digest, domain, dkey = (
        parameters.get(name) if name in names else None for name in RECORD_NAMES
    )
    named = domain is not None or dkey is not None
    if [image_id is not None, digest is not None, named].count(True) != 1:
        ways = "id, sum, and domain with dkey" if "dkey" in names else "id and sum"
        raise InvalidRequest(f"expected exactly one of the parameters {ways}")
    if image_id is not None:
        return store.reads.by_id(check_id(image_id))
    if digest is not None:
        return store.reads.by_sum(check_sum(digest))
    if domain is None or dkey is None:
        raise InvalidRequest("domain and dkey are only understood together")
    return store.reads.by_name(check_domain(domain), check_dkey(dkey))


def send_record(req: falcon.Request, resp: falcon.Response, record: ImageRecord) -> None:
    """An image's description, or 304 when the client has it."""
    send_image(resp, record)
    etag = resp.get_header("ETag")
    if etag and not_modified(req, resp, etag):
        resp.text = None


def send_picture(
    store: ImageStore,
    req: falcon.Request,
    resp: falcon.Response,
    wanted: Wanted,
    cache_control: str,
    download: str | None,
    *,
    spelling: str | None = None,
) -> None:
    """The wanted picture: 304 before any work, originals by nginx, renditions from memory or made now."""
    picture_headers(
        resp, cache_control=cache_control, resource_policy=store.settings.cross_origin_resource_policy
    )
    if download:
        resp.set_header("Content-Disposition", content_disposition(download))
    if_match = req.get_header("If-Match")
    if if_match is not None and not etag_listed(if_match, [wanted.etag], weak=False):
        raise PreconditionFailed("If-Match names another ETag than this picture has")
    if not_modified(req, resp, wanted.etag):
        return
    if wanted.rendition.is_original:
        _send_original(store, req, resp, wanted)
        return
    found = store.reads.picture(wanted, spelling=None if download else spelling)
    # What was made under an older recipe goes out under the ETag that it was made with.
    resp.set_header("ETag", found.etag)
    resp.content_type = found.picture.content_type
    resp.data = found.picture.body


def _send_original(store: ImageStore, req: falcon.Request, resp: falcon.Response, wanted: Wanted) -> None:
    record = wanted.record
    resp.content_type = CONTENT_TYPES[record.format]
    place = store.reads.locate(record)
    if isinstance(place, LocalFile):
        resp.set_header("X-Accel-Redirect", f"/_original/{place.path}")
        return
    if not req.get_header("Range") and (small := store.reads.small_original(wanted)):
        resp.data = small.picture.body
        return
    if place is not None:
        resp.set_header("X-Accel-Redirect", "/_remote/")
        resp.set_header("X-Original-Url", place.url)
        return
    if req.method == "HEAD":
        resp.content_length = record.size
        return
    resp.set_stream(Streamed(store.reads.read(record)), record.size)


def _file_name(text: str | None) -> str | None:
    if text is not None and not (1 <= len(text) <= MAX_DKEY_CHARACTERS and text.isprintable()):
        raise InvalidParameter("download", "download is a file name of 1 to 255 printable characters")
    return text
