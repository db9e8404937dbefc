"""Pictures in, by upload and by name."""

import falcon

from api.auth import caller, upload_token
from api.bodies import UPLOAD_FIELDS, Upload, receive_upload
from api.errors import unknown_parameter
from api.preconditions import precondition
from api.read import NamedOriginal, check_route
from api.responses import send_accepted, send_image
from api.taskbodies import batch_of
from imagestore.errors import InvalidParameter
from imagestore.names import DEFAULT_DOMAIN, check_dkey, check_domain
from imagestore.query import parse_query
from imagestore.service import ImageStore
from imagestore.taskrecords import NewTask
from imagestore.weburl import check_url
from imagestore.writing import Stored


class UploadImage:
    """POST of a picture as a form or as a raw body: `/image/upload` and `/images`."""

    def __init__(self, store: ImageStore) -> None:
        self._store = store

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        token = upload_token(req)
        if token is not None:
            self._spend(token, req, resp)
            return
        with receive_upload(self._store, req, allowed=UPLOAD_FIELDS) as upload:
            task = _parse_upload(upload)
            caller(req).require_domain(task.domain)
            if _is_async(upload):
                batch = batch_of(req, caller(req))
                send_accepted(resp, self._store.tasks.submit_upload(upload.spooled, task, batch=batch))
                return
            stored = self._store.writes.upload(
                upload.spooled, task.domain, task.dkey, task.metadata, overwrite=task.overwrite
            )
            send_stored(resp, stored)

    def _spend(self, secret: str, req: falcon.Request, resp: falcon.Response) -> None:
        """Store the picture as the token says; only its metadata is the caller's to say."""
        tokens = self._store.upload_tokens
        with (
            tokens.spend(secret) as token,
            receive_upload(
                self._store, req, allowed=frozenset(["metadata"]), max_bytes=token.permit.max_bytes
            ) as upload,
        ):
            send_stored(resp, tokens.store(token, upload.spooled, upload.user_metadata))


class NamedImage(NamedOriginal):
    """`/{domain}/{dkey}`: PUT creates or replaces, DELETE removes, GET gives the original."""

    def on_put(self, req: falcon.Request, resp: falcon.Response, domain: str, dkey: str) -> None:
        self._check_write(req, domain, dkey)
        with receive_upload(self._store, req, allowed=frozenset(["metadata"])) as upload:
            stored = self._store.writes.upload(
                upload.spooled,
                domain,
                dkey,
                upload.user_metadata,
                overwrite=True,
                precondition=precondition(req),
            )
            send_stored(resp, stored)

    def on_delete(self, req: falcon.Request, resp: falcon.Response, domain: str, dkey: str) -> None:
        self._check_write(req, domain, dkey)
        purge = wants_purge(req)
        self._store.writes.delete_named(domain, dkey, precondition=precondition(req), purge=purge)
        resp.status = 204

    def _check_write(self, req: falcon.Request, domain: str, dkey: str) -> None:
        check_route(domain)
        check_domain(domain)
        check_dkey(dkey)
        caller(req).require_domain(domain)


def wants_purge(req: falcon.Request) -> bool:
    """Whether a DELETE shall remove the stored bytes at once, which only an administrator may ask for.

    Raises:
        InvalidParameter, InvalidRequest, Forbidden
    """
    parameters = parse_query(req.query_string)
    value = parameters.pop("purge", "0")
    for name in parameters:
        raise unknown_parameter(name, "purge")
    if value not in ("0", "1"):
        raise InvalidParameter("purge", f"purge is {value[:40]!r}, expected 0 or 1")
    if value == "1":
        caller(req).require("admin")
    return value == "1"


def _parse_upload(upload: Upload) -> NewTask:
    """What is to be done with the bytes, now or later."""
    dkey, callback = upload.fields.get("dkey"), upload.fields.get("callback")
    return NewTask(
        kind="upload",
        domain=check_domain(upload.fields.get("domain", DEFAULT_DOMAIN)),
        dkey=None if dkey is None else check_dkey(dkey),
        metadata=upload.user_metadata,
        callback=None if callback is None else check_url(callback),
        overwrite=upload.overwrite,
        sha256=upload.spooled.content.sha256,
    )


def _is_async(upload: Upload) -> bool:
    mode = upload.fields.get("mode", "sync")
    if mode not in ("sync", "async"):
        raise InvalidParameter("mode", f"mode is {mode[:40]!r}, expected sync or async")
    if mode == "sync" and "callback" in upload.fields:
        raise InvalidParameter("callback", "callback is given with mode=sync, expected mode=async")
    return mode == "async"


def send_stored(resp: falcon.Response, stored: Stored) -> None:
    """201 with Location for a new image, 200 for one that was there."""
    created = stored.outcome == "created"
    send_image(resp, stored.record, status=201 if created else 200)
    if created:
        resp.set_header("Location", f"/v1/images/{stored.record.id}")
