"""Requests to one image server: connections, tries, and errors in our words.

urllib3 is here as in `outbound`, and for other reasons: this is a server that the caller trusts, so
connections are kept, and nothing is judged but the answer.
"""

import contextlib
import json
import random
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlencode, urlsplit

import urllib3

from imagestore.client.problems import Busy, ClientError, Problem, Unreachable, error_for

API = "/v1"
"""In front of every route."""

CONNECT_TIMEOUT_S = 5

LONGEST_PAUSE_S = 30
"""More than this is not waited for between two tries, whatever `Retry-After` says."""

FIRST_PAUSE_S = 0.5
"""Before the second try when the server names no time; each further pause is twice as long."""

_DICE = random.SystemRandom()

Query = Mapping[str, str | int | None]


class Sendable(Protocol):
    """A body that is read while it is sent; each iteration begins with the first byte."""

    length: int
    content_type: str

    def __iter__(self) -> Iterator[bytes]: ...


Body = bytes | Sendable | None


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer with a status below 400."""

    status: int
    headers: Mapping[str, str]
    """Without regard to case."""
    body: bytes


class Transport:
    """A pool of connections to one server. Safe for threads.

    Args:
        server: `http://host:port` or https, perhaps with a path in front of all routes.
        key: the API key; None sends none, which is enough to read.
        timeout_s: how long the server may be silent.
        patience_s: how long a request may be tried again when the server is busy (429, 503) or does
            not answer; 0 tries once.
        connections: at once; more threads than these wait for one.

    Raises:
        ValueError: `server` is no such address, or the key cannot be sent.
    """

    def __init__(
        self, server: str, key: str | None, *, timeout_s: float, patience_s: float, connections: int
    ) -> None:
        self.server = _checked_address(server)
        if key is not None and not (key.isascii() and key.isprintable() and key and " " not in key):
            raise ValueError("the API key is not of printable ASCII characters without spaces")
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._patience_s = patience_s
        self._pool = urllib3.PoolManager(
            maxsize=connections,
            block=True,
            timeout=urllib3.Timeout(connect=CONNECT_TIMEOUT_S, read=timeout_s),
            retries=False,
        )

    def send(
        self,
        method: str,
        path: str,
        query: Query | None = None,
        *,
        body: Body = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """The whole answer.

        Raises:
            ServerProblem: a status of 400 or more; its subclass says what to do.
            Unreachable: no answer, after the last try too.
        """
        with self.stream(method, path, query, body=body, headers=headers) as response, _translated():
            return Reply(response.status, response.headers, response.read())

    @contextlib.contextmanager
    def stream(
        self,
        method: str,
        path: str,
        query: Query | None = None,
        *,
        body: Body = None,
        headers: Mapping[str, str] | None = None,
        patience_s: float | None = None,
    ) -> Iterator[urllib3.BaseHTTPResponse]:
        """The answer once its head is there, to be read by `chunks_of`; raises as `send` does.

        `path` is that of a route, or a whole address on this server.
        """
        given = {name: str(value) for name, value in (query or {}).items() if value is not None}
        address = path if path.startswith(f"{self.server}/") else self.server + API + path
        url = f"{address}?{urlencode(given)}" if given else address
        response = self._persist(
            method,
            url,
            body,
            {**self._headers, **(headers or {})},
            self._patience_s if patience_s is None else patience_s,
        )
        whole = False
        try:
            yield response
            whole = True
        finally:
            # What was not read to its end is in the way of the next answer on this connection.
            response.release_conn() if whole else response.close()

    def send_json(
        self,
        method: str,
        path: str,
        query: Query | None = None,
        *,
        value: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """`send`, with `value` as JSON in the body."""
        body = None if value is None else json.dumps(value, ensure_ascii=False).encode()
        kind = {} if value is None else {"Content-Type": "application/json"}
        return self.send(method, path, query, body=body, headers={**kind, **(headers or {})})

    def json(
        self,
        method: str,
        path: str,
        query: Query | None = None,
        *,
        value: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """`send_json`, and the JSON that comes back."""
        return json.loads(self.send_json(method, path, query, value=value, headers=headers).body)

    def pages(self, path: str, query: Query, member: str) -> Iterator[Mapping[str, Any]]:
        """The entries of a list that comes in pages: of `member`, as long as `next` names a further page."""
        page = self.json("GET", path, query)
        while True:
            yield from page[member]
            if not page["next"]:
                return
            page = self.json("GET", page["next"].removeprefix(API))

    def close(self) -> None:
        """Close the connections that wait."""
        self._pool.clear()

    def _persist(
        self, method: str, url: str, body: Body, headers: Mapping[str, str], patience_s: float
    ) -> urllib3.BaseHTTPResponse:
        if body is not None and not isinstance(body, bytes):
            headers = {**headers, "Content-Length": str(body.length), "Content-Type": body.content_type}
        deadline = time.monotonic() + patience_s
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                return self._try(method, url, body, headers)
            except (Busy, Unreachable) as error:
                wait_s = _asked_pause_s(error) or pause_s
                if time.monotonic() + wait_s > deadline:
                    raise
            # Of many that were sent away together not all come back together.
            time.sleep(wait_s * _DICE.uniform(1, 1.25))
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)

    def _try(self, method: str, url: str, body: Body, headers: Mapping[str, str]) -> urllib3.BaseHTTPResponse:
        with _translated():
            response = self._pool.request(
                method, url, body=body, headers=headers, preload_content=False, redirect=False
            )
            if response.status < 400:
                return response
            text = response.read(64 * 1024)
            response.close()
        error = error_for(Problem.parse(response.status, text))
        if isinstance(error, Busy):
            error.retry_after_s = _seconds(response.headers.get("Retry-After", ""))
        raise error


def chunks_of(response: urllib3.BaseHTTPResponse, size: int = 256 * 1024) -> Iterator[bytes]:
    """The body in pieces of up to `size` bytes.

    Raises:
        Unreachable: it ended before its announced length.
    """
    with _translated():
        yield from response.stream(size)


def _checked_address(server: str) -> str:
    parts = urlsplit(server if "://" in server else f"http://{server}")
    try:
        plain = parts.hostname and parts.port != 0 and "@" not in parts.netloc
    except ValueError:
        plain = False
    if parts.scheme not in ("http", "https") or not plain or parts.query or parts.fragment:
        raise ValueError(f"the server is {server[:200]!r}, expected an address such as http://127.0.0.1:8080")
    return f"{parts.scheme}://{parts.netloc}{parts.path}".rstrip("/")


def _asked_pause_s(error: ClientError) -> float | None:
    return error.retry_after_s if isinstance(error, Busy) else None


def _seconds(retry_after: str) -> float | None:
    """`Retry-After` in seconds (RFC 9110 §10.2.3); our server sends no dates."""
    if retry_after.isascii() and retry_after.isdigit():
        return float(retry_after[:9])
    return None


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    """What goes wrong on a connection, in our words."""
    try:
        yield
    except urllib3.exceptions.NewConnectionError as error:
        raise Unreachable("the server does not answer: no connection") from error
    except urllib3.exceptions.TimeoutError as error:
        raise Unreachable("the server did not answer in time") from error
    except urllib3.exceptions.HTTPError as error:
        raise Unreachable("the connection to the server broke") from error
