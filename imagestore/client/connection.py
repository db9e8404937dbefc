"""The client: everything that a server does for those who use it, as methods."""

import json
from collections.abc import Mapping
from typing import Any, Self

from imagestore.client.transport import Transport
from imagestore.client.values import Image
from imagestore.errors import InvalidRequest

API = "/v1"


class Client:
    """A client of one server; use it as a context manager, or close it. Safe for threads.

    Args:
        server: its address, as `http://127.0.0.1:8080`.
        key: an API key; needed for all but reading.
        timeout_s: how long the server may be silent in one answer.
        patience_s: how long a request is tried again while the server is busy or away.
        connections: at once.

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
    ) -> None:
        self._transport = Transport(
            server, key, timeout_s=timeout_s, patience_s=patience_s, connections=connections
        )

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

    def info(
        self,
        *,
        id: int | None = None,
        sum: str | None = None,
        domain: str | None = None,
        dkey: str | None = None,
    ) -> Image:
        """What is known about one picture, named by `id`, by `sum` (md5 or sha256), or by domain and dkey."""
        return self._image("GET", "/image/info", one_name(id, sum, domain, dkey))

    def _image(self, method: str, path: str, query: Mapping[str, str | int | None] | None = None) -> Image:
        return Image.parse(self._json(method, path, query))

    def _json(self, method: str, path: str, query: Mapping[str, str | int | None] | None = None) -> Any:
        return json.loads(self._transport.send(method, API + path, query).body)


def one_name(
    id: int | None, sum: str | None, domain: str | None, dkey: str | None
) -> dict[str, str | int | None]:
    """The parameters that name one picture.

    Raises:
        InvalidRequest: none, or more than one way to name it.
    """
    ways = [id is not None, sum is not None, domain is not None and dkey is not None]
    if ways.count(True) != 1 or (domain is None) != (dkey is None):
        raise InvalidRequest("a picture is named by id, or by sum, or by domain and dkey")
    return {"id": id, "sum": sum, "domain": domain, "dkey": dkey}
