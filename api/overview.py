"""`/overview`: how much there is, and how it goes, at a glance."""

import re
from typing import Any

import falcon

from api.auth import caller
from api.errors import unknown_parameter
from api.responses import send_json
from imagestore.exposition import counted
from imagestore.query import parse_query
from imagestore.service import ImageStore

COUNTERS = {"imagestore_pictures_total": "source", "imagestore_problems_total": "problem"}
"""Name of a counter -> the label by which it is told."""

_PICTURES = re.compile(r"([a-z]{1,16})=([0-9]{1,18})", re.ASCII)


class GlanceAround:
    """Numbers of the key's domains; for a key of all domains also those of the whole server."""

    def __init__(self, store: ImageStore) -> None:
        self._store = store

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        for name in parse_query(req.query_string):
            raise unknown_parameter(name, "none")
        domains = caller(req).domains
        found = self._store.overview.of(domains)
        resp.set_header("Cache-Control", "no-store")
        send_json(resp, {**found, **(dict.fromkeys(_NAMES) if domains else _counts(req))})

    on_head = on_get


_NAMES = ("nginx", "pictures", "problems")


def _counts(req: falcon.Request) -> dict[str, Any]:
    """What processes have counted since the server's start."""
    pictures, problems = counted(COUNTERS)
    # nginx.conf.template sets it, and never lets a client's through.
    told = _PICTURES.findall(req.get_header("X-Picture-Counts") or "")
    nginx = {word: int(number) for word, number in told}
    return dict(zip(_NAMES, (nginx or None, pictures, problems), strict=True))
