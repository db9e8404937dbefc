"""The client: everything that a server does for those who use it, as methods."""

import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self, Unpack

from imagestore.client.forms import Source, form
from imagestore.client.naming import Picture, parameters_of
from imagestore.client.problems import NotThere
from imagestore.client.tasks import Download, Tasks
from imagestore.client.transport import Transport, chunks_of
from imagestore.client.urls import Sign, Urls, Wish
from imagestore.client.values import Image, Stored, Task
from imagestore.errors import InvalidRequest

PAGE = 500
"""Pictures that are asked for at once when all are wanted; an answer of about half a megabyte."""


class Client:
    """A client of one server; use it as a context manager, or close it. Safe for threads.

    `urls` builds addresses, `tasks` is for what the server does later.

    Args:
        server: its address, as `http://127.0.0.1:8080`.
        key: an API key; needed for all but reading.
        timeout_s: how long the server may be silent in one answer.
        patience_s: how long a request is tried again while the server is busy or away.
        connections: at once.
        sign: signs addresses, for domains that want it.

    Raises:
        ValueError: the address or the key cannot be used.

    Every method raises `ServerProblem` (of `imagestore.client`) for what the server refuses and
    `Unreachable` when it does not answer; wrong arguments are `InvalidParameter` and its like.
    """

    def __init__(
        self,
        server: str,
        key: str | None = None,
        *,
        timeout_s: float = 60,
        patience_s: float = 30,
        connections: int = 16,
        sign: Sign | None = None,
    ) -> None:
        self._transport = Transport(
            server, key, timeout_s=timeout_s, patience_s=patience_s, connections=connections
        )
        self.urls = Urls(self._transport.server, sign)
        self.tasks = Tasks(self._transport)

    @property
    def server(self) -> str:
        """Its address, without a slash at the end."""
        return self._transport.server

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the connections."""
        self._transport.close()

    def info(self, picture: Picture) -> Image:
        """What is known about a picture."""
        return Image.parse(self._transport.json("GET", "/image/info", parameters_of(picture)))

    def images(
        self, domain: str | None = None, prefix: str = "", after: str | None = None
    ) -> Iterator[Image]:
        """All pictures, asked for page by page: of a domain ordered by dkey, else by id.

        `prefix` is how their dkeys begin; `after` the dkey (without `domain`: the id) to go on behind.
        """
        query = {"domain": domain, "prefix": prefix or None, "after": after, "limit": PAGE}
        for described in self._transport.pages("/images", query, "images"):
            yield Image.parse(described)

    @contextlib.contextmanager
    def open(
        self, picture: Picture, *, patience_s: float | None = None, **wish: Unpack[Wish]
    ) -> Iterator["Reading"]:
        """A picture as a stream of bytes; without a wish its original. `patience_s`: for this one."""
        path = self.urls.picture(picture, **wish)
        with self._transport.stream("GET", path, patience_s=patience_s) as response:
            yield Reading(response.headers, chunks_of(response))

    def read(self, picture: Picture, **wish: Unpack[Wish]) -> bytes:
        """The bytes of a picture; without a wish of its original."""
        with self.open(picture, **wish) as reading:
            return b"".join(reading.chunks)

    def upload(
        self,
        source: Source,
        *,
        domain: str | None = None,
        dkey: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        overwrite: bool = False,
    ) -> Stored:
        """Store a picture; without a dkey it is named for its content. The same bytes again change nothing.

        Raises:
            Conflict: the name holds other bytes, and `overwrite` is not given.
        """
        fields = {"domain": domain, "dkey": dkey, "metadata": _json(metadata)}
        fields["overwrite"] = "1" if overwrite else None
        return self._send_picture("POST", "/image/upload", source, fields)

    def upload_later(
        self,
        source: Source,
        *,
        domain: str | None = None,
        dkey: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        overwrite: bool = False,
        callback: str | None = None,
    ) -> Task:
        """Hand a picture over; a worker checks it and stores it, and tells `callback`, a URL."""
        fields = {"domain": domain, "dkey": dkey, "metadata": _json(metadata), "callback": callback}
        fields |= {"overwrite": "1" if overwrite else None, "mode": "async"}
        with form(source, fields) as body:
            reply = self._transport.send("POST", "/image/upload", body=body)
        return Task.parse(json.loads(reply.body))

    def replace(
        self,
        picture: Picture,
        source: Source,
        *,
        metadata: Mapping[str, Any] | None = None,
        unless_changed: bool = False,
    ) -> Stored:
        """Give a picture other bytes; id and name stay. Without `metadata` the old one stays too.

        Raises:
            Conflict: `unless_changed`, and `picture` (an `Image`) is not the latest any more.
        """
        return self._send_picture(
            "PUT",
            f"/images/{self._id(picture)}",
            source,
            {"metadata": _json(metadata)},
            _guard(picture, unless_changed),
        )

    def edit(self, picture: Picture, metadata: Mapping[str, Any], *, unless_changed: bool = False) -> Image:
        """Merge into a picture's metadata (RFC 7396: None removes a member); raises as `replace` does."""
        return Image.parse(
            self._transport.json(
                "PATCH",
                f"/images/{self._id(picture)}",
                value={"user_metadata": metadata},
                headers=_guard(picture, unless_changed),
            )
        )

    def delete(self, picture: Picture, *, unless_changed: bool = False) -> bool:
        """Remove a picture; False when there is none. Raises as `replace` does."""
        try:
            self._transport.send(
                "DELETE", f"/images/{self._id(picture)}", headers=_guard(picture, unless_changed)
            )
        except NotThere:
            return False
        return True

    def download(self, wish: Download) -> Stored:
        """Let the server fetch a URL and wait for it; `tasks.submit` does not wait.

        Raises:
            Refused: it could not be fetched, or it is no picture; the problem says why.
        """
        reply = self._transport.send_json("POST", "/image/download", value={**wish.members(), "mode": "sync"})
        return Stored(Image.parse(json.loads(reply.body)), reply.status == 201)

    def health(self) -> Mapping[str, Any]:
        """Which parts of a ready server answer: `checks` has `database`, `storage`, `cache`, ...

        Raises:
            Busy: it is not ready.
        """
        found: Mapping[str, Any] = self._transport.json("GET", "/health/ready")
        return found

    def _send_picture(
        self,
        method: str,
        path: str,
        source: Source,
        fields: Mapping[str, str | None],
        headers: Mapping[str, str] | None = None,
    ) -> Stored:
        with form(source, fields) as body:
            reply = self._transport.send(method, path, body=body, headers=headers)
        return Stored(Image.parse(json.loads(reply.body)), reply.status == 201)

    def _id(self, picture: Picture) -> int:
        name = parameters_of(picture)
        return int(name["id"]) if "id" in name else self.info(picture).id


@dataclass(frozen=True, slots=True)
class Reading:
    """A picture on its way: its headers, and its bytes in pieces."""

    headers: Mapping[str, str]
    chunks: Iterator[bytes]


def _guard(picture: Picture, unless_changed: bool) -> dict[str, str]:
    if not unless_changed:
        return {}
    if not isinstance(picture, Image):
        raise InvalidRequest("unless_changed needs the Image that is not to have changed")
    return {"If-Match": picture.etag}


def _json(metadata: Mapping[str, Any] | None) -> str | None:
    return None if metadata is None else json.dumps(metadata, ensure_ascii=False)
