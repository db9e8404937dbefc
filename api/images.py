"""The REST view: `/images` and `/images/{id}`."""

from collections.abc import Mapping
from urllib.parse import urlencode

import falcon

from api.auth import caller
from api.bodies import read_json, receive_upload
from api.errors import unknown_parameter
from api.paging import page_limit
from api.preconditions import precondition
from api.read import send_record
from api.responses import send_image, send_json
from api.signatures import admit, as_if_there
from api.write import UploadImage, send_stored, wants_purge
from imagestore.errors import InvalidRequest
from imagestore.imagesearch import ImageSearch, MetadataWish
from imagestore.names import check_dkey, check_domain, check_id, check_prefix, check_sum
from imagestore.query import parse_query
from imagestore.records import describe_image
from imagestore.service import ImageStore
from imagestore.signing import without_signature


class Images(UploadImage):
    """The collection: a page of it by GET, a new image by POST."""

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        parameters = without_signature(parse_query(req.query_string))
        for name in parameters.keys() - {"domain", "prefix", "sum", "metadata", "after", "limit"}:
            raise unknown_parameter(name, "domain, prefix, sum, metadata, after or limit")
        domain = parameters.get("domain")
        if domain is not None:
            check_domain(domain)
        admit(self._store, req, domain)
        page = self._store.reads.search(_search(parameters), page_limit(parameters.get("limit")))
        next_page = page.after and f"{req.path}?{urlencode({**parameters, 'after': page.after})}"
        send_json(resp, {"images": [describe_image(record) for record in page.records], "next": next_page})

    on_head = on_get


class Image:
    """One image: its description, its replacement, its metadata, its end."""

    def __init__(self, store: ImageStore) -> None:
        self._store = store

    def on_get(self, req: falcon.Request, resp: falcon.Response, image_id: str) -> None:
        for name in without_signature(parse_query(req.query_string)):
            raise unknown_parameter(name, "none")
        with as_if_there(self._store, req):
            record = self._store.reads.by_id(check_id(image_id))
        admit(self._store, req, record.domain)
        send_record(req, resp, record)

    on_head = on_get

    def on_put(self, req: falcon.Request, resp: falcon.Response, image_id: str) -> None:
        number = self._check_write(req, image_id)
        with receive_upload(self._store, req, allowed=frozenset(["metadata"])) as upload:
            stored = self._store.writes.replace(
                number, upload.spooled, upload.user_metadata, precondition=precondition(req)
            )
            send_stored(resp, stored)

    def on_patch(self, req: falcon.Request, resp: falcon.Response, image_id: str) -> None:
        number = self._check_write(req, image_id)
        body = read_json(req)
        patch = body.pop("user_metadata", None)
        if body or not isinstance(patch, dict):
            raise InvalidRequest('the body is not of the shape {"user_metadata": {...}}')
        send_image(resp, self._store.writes.edit(number, patch, precondition=precondition(req)))

    def on_delete(self, req: falcon.Request, resp: falcon.Response, image_id: str) -> None:
        number = self._check_write(req, image_id)
        self._store.writes.delete(number, precondition=precondition(req), purge=wants_purge(req))
        resp.status = 204

    def _check_write(self, req: falcon.Request, image_id: str) -> int:
        number = check_id(image_id)
        grant = caller(req)
        if grant.domains:
            grant.require_domain(self._store.reads.by_id(number).domain)
        return number


def check_after(after: str, domain: str | None) -> None:
    """`after` is the dkey of the last image seen in a domain, or without one its id.

    Raises:
        InvalidKey: it is no dkey.
        InvalidParameter: it is no id.
    """
    if domain is not None:
        check_dkey(after)
        return
    check_id(after, "after")


def _search(parameters: Mapping[str, str]) -> ImageSearch:
    found = {name: parameters[name] for name in ("domain", "prefix", "after") if name in parameters}
    if found.get("prefix"):
        check_prefix(found["prefix"])
    if "after" in found:
        check_after(found["after"], found.get("domain"))
    digest, metadata = parameters.get("sum"), parameters.get("metadata")
    return ImageSearch(
        **found,
        digest=None if digest is None else check_sum(digest),
        metadata=None if metadata is None else MetadataWish.parse(metadata),
    )
