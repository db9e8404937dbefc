"""The wiring: settings, the image store, routes."""

import contextlib
import os
import re
import time
import uuid

import falcon

from api import errors
from api.accounts import Audit, Domains
from api.auth import Access
from api.console import Console, ConsoleFile, ToConsole
from api.cors import Cors
from api.docs import Docs, DocsAsset, OpenApi
from api.images import Image, Images
from api.keys import Key, Keys
from api.ops import Live, Metrics, Problem, Ready, Root
from api.overview import GlanceAround
from api.read import ImageInfo, ImageRead
from api.signedurls import SignedUrls
from api.tasks import DownloadImage, Pregenerate, Task, TaskRetry, Tasks, TasksRetry, TasksSummary
from api.uploadtokens import UploadTokens
from api.write import NamedImage, UploadImage
from imagestore import logs
from imagestore.actor import Actor, act_as
from imagestore.errors import NotFound
from imagestore.metrics import count_request, request_begins, request_ends
from imagestore.patience import note_wait
from imagestore.service import ImageStore
from imagestore.settings import Settings

App = falcon.App[falcon.Request, falcon.Response]


REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")
"""Of a request, by whoever gave it first; nginx.conf.template has the same grammar."""

SECONDS = re.compile(r"[0-9]{1,3}(\.[0-9]{1,6})?")
"""Of a wait, as nginx/lua/line.lua writes them and with room to spare."""


class RequestIds:
    """Every request has an id: nginx's, or one of our own when nothing is in front."""

    def process_request(self, req: falcon.Request, resp: falcon.Response) -> None:
        given = req.get_header("X-Request-Id") or ""
        req.context.request_id = given if REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        resp.set_header("X-Request-Id", req.context.request_id)
        address = req.get_header("X-Forwarded-For") or req.remote_addr or ""
        # Of the thread that serves it; nginx has replaced what a client says about itself.
        act_as(Actor(None, req.context.request_id, address[:64]))
        if req.path.startswith("//"):
            # Falcon's router strips leading slashes, and nginx' rules for a route do not see through them.
            raise NotFound("there is no such route")


class Counts:
    """Every request is counted, by the template of its route and not by what the client wrote."""

    def process_request(self, req: falcon.Request, resp: falcon.Response) -> None:
        req.context.started = time.monotonic()
        request_begins()

    def process_response(
        self, req: falcon.Request, resp: falcon.Response, resource: object, req_succeeded: bool
    ) -> None:
        request_ends()
        # Strangers may make methods up, and each would be a new series.
        method = req.method if req.method in falcon.HTTP_METHODS else "other"
        route = (req.uri_template or "none").removeprefix("/v1")
        seconds = time.monotonic() - req.context.started
        count_request(route=route, method=method, status=resp.status_code, seconds=seconds)


class Patience:
    """nginx says how long a request has waited in its own line (nginx/lua/line.lua)."""

    def process_request(self, req: falcon.Request, resp: falcon.Response) -> None:
        said = req.get_header("X-Waited") or ""
        note_wait(float(said) if SECONDS.fullmatch(said) else 0.0)


class WholeBodies:
    """Every body is read to its end, also that of a request which was refused before.

    gunicorn closes a connection with more than 64 KiB unread, and closing resets it: nginx then
    lost the answer, and told the client 503 instead (measured: 13 of 60 refused uploads of 5 MB).
    """

    def process_response(
        self, req: falcon.Request, resp: falcon.Response, resource: object, req_succeeded: bool
    ) -> None:
        if req.content_length:
            # A client that went away needs no answer.
            with contextlib.suppress(OSError):
                req.bounded_stream.exhaust()


def build(store: ImageStore) -> App:
    """The WSGI application around an open store."""
    cors = Cors(store.settings.upload_origins)
    app: App = falcon.App(
        middleware=[Counts(), RequestIds(), Patience(), WholeBodies(), cors, Access(store.keyring)]
    )
    app.req_options.strip_url_path_trailing_slash = False
    # One body part is the picture; the others are short words and one piece of JSON.
    app.req_options.media_handlers["multipart/form-data"] = falcon.media.MultipartFormHandler(
        falcon.media.multipart.MultipartParseOptions()
    )
    errors.install(app)
    app.add_route("/", Root())
    app.add_route("/problems/{name}", Problem())
    app.add_route("/console", ToConsole())
    app.add_route("/console/", Console())
    app.add_route("/console/{file:path}", ConsoleFile())
    named, documented = NamedImage(store), OpenApi()
    for version in ("", "/v1"):
        app.add_route(f"{version}/health/live", Live())
        app.add_route(f"{version}/health/ready", Ready(store))
        app.add_route(f"{version}/metrics", Metrics(store))
        app.add_route(f"{version}/openapi.json", documented)
        app.add_route(f"{version}/docs", Docs())
        app.add_route(f"{version}/docs/{{asset}}", DocsAsset())
        app.add_route(f"{version}/image/read", ImageRead(store))
        app.add_route(f"{version}/image/info", ImageInfo(store))
        app.add_route(f"{version}/image/upload", UploadImage(store))
        app.add_route(f"{version}/image/download", DownloadImage(store))
        app.add_route(f"{version}/tasks", Tasks(store))
        app.add_route(f"{version}/tasks/summary", TasksSummary(store))
        app.add_route(f"{version}/tasks/retry", TasksRetry(store))
        app.add_route(f"{version}/tasks/{{task_id}}", Task(store))
        app.add_route(f"{version}/tasks/{{task_id}}/retry", TaskRetry(store))
        app.add_route(f"{version}/audit", Audit(store))
        app.add_route(f"{version}/domains", Domains(store))
        app.add_route(f"{version}/overview", GlanceAround(store))
        app.add_route(f"{version}/signed-urls", SignedUrls(store))
        app.add_route(f"{version}/upload-tokens", UploadTokens(store))
        app.add_route(f"{version}/keys", Keys(store))
        app.add_route(f"{version}/keys/{{key_id}}", Key(store))
        app.add_route(f"{version}/images", Images(store))
        app.add_route(f"{version}/images/pregenerate", Pregenerate(store))
        app.add_route(f"{version}/images/{{image_id}}", Image(store))
        # Last: it would swallow every route of two and more segments.
        app.add_route(f"{version}/{{domain}}/{{dkey:path}}", named)
    return app


def create_app() -> App:
    """The application that the environment describes; gunicorn calls this once per process."""
    settings = Settings.from_env(os.environ)
    logs.set_up(settings.log_format)
    store = ImageStore.open(settings)
    store.prepare()
    return build(store)
