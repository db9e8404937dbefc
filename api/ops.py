"""For operators and their tools: health, metrics, the problem types, the front door."""

import falcon

from api.errors import PROBLEMS
from api.responses import send_json
from imagestore.errors import NotFound
from imagestore.exposition import exposition
from imagestore.service import ImageStore

NEEDED = ("database", "storage")
"""Without these nothing new can be served; without the cache everything works, only slower."""


class Live:
    """`/health/live`: this process answers; touches nothing else (promises §22)."""

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        send_json(resp, {"status": "live"})

    on_head = on_get


class Ready:
    """`/health/ready`: what this server depends on answers; 503 names what does not."""

    def __init__(self, store: ImageStore) -> None:
        self._store = store

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        checks = self._store.health()
        ready = all(checks[name] for name in NEEDED)
        body = {"status": "ready" if ready else "unavailable", "checks": checks}
        send_json(resp, body, status=200 if ready else 503)

    on_head = on_get


class Metrics:
    """`/metrics` in the Prometheus text format, over all processes of this API, and of the workers that
    share its folder of counters; with what every dependency says."""

    def __init__(self, store: ImageStore) -> None:
        self._store = store

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        resp.content_type, resp.data = exposition(self._store.measures.readings())
        resp.set_header("Cache-Control", "no-store")


class Problem:
    """`/problems/{name}`: what a problem type means."""

    def on_get(self, req: falcon.Request, resp: falcon.Response, name: str) -> None:
        if name not in PROBLEMS:
            raise NotFound(f"there is no problem type {name[:40]!r}")
        status, title = PROBLEMS[name]
        send_json(resp, {"type": f"/problems/{name}", "status": status, "title": title})


class Root:
    """`/`: what this is."""

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        send_json(
            resp, {"service": "image store", "version": 1, "images": "/v1/images", "health": "/health/ready"}
        )

    on_head = on_get
