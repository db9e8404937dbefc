"""One HTTP request to a server that a stranger named, over a connection of `dialing`.

`reason` of the `FetchFailed` raised here:

    dns               the name has no address, or the name servers did not answer (may pass)
    connect           refused, unreachable or reset before an answer (may pass)
    tls               the certificate is not valid for the host, or no TLS could be agreed on
    timeout           no connection, or no whole answer, in time (may pass)
    cut-short         the body ended before its announced length (may pass)
    content-encoding  the body is compressed in a way not asked for, or its compression is broken
    bad-answer        what came is not HTTP
    http-<status>     a status that nothing can be done with
"""

import contextlib
import email.utils
import http
import http.client
import io
import re
import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import urllib3
from urllib3.connection import HTTPConnection

from imagestore.dialing import Deadline, Dialer
from imagestore.errors import FetchFailed
from imagestore.weburl import WebURL

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

LONGEST_PAUSE_S = 24 * 3600
"""More than this is not waited for, whatever `Retry-After` says."""

_DECODABLE = ("", "identity", "gzip", "x-gzip", "deflate")


@dataclass(frozen=True, slots=True)
class Answer:
    """Status and headers of an answer, and its body as a stream."""

    status: int
    headers: Mapping[str, str]
    """Without regard to case; a repeated one is joined by commas."""
    _response: urllib3.BaseHTTPResponse

    def read(self, size: int, /) -> bytes:
        """Up to `size` bytes of the body, decompressed; none at its end.

        Raises:
            FetchFailed: `timeout`, `cut-short`, `content-encoding`.
        """
        if self.headers.get("Content-Encoding", "").strip().lower() not in _DECODABLE:
            raise FetchFailed("content-encoding", "the answer is compressed in a way that was not asked for")
        with _translated():
            return self._response.read(size)


class Outbound:
    """Sends requests: without proxy, cookies, credentials or redirects.

    urllib3 speaks HTTP over a connection that the dialer made, and cannot open one by itself.
    """

    def __init__(self, dialer: Dialer, *, user_agent: str) -> None:
        self._dialer = dialer
        self._user_agent = user_agent

    @contextlib.contextmanager
    def exchange(
        self,
        method: str,
        url: WebURL,
        headers: Mapping[str, str],
        deadline: Deadline,
        body: bytes | None = None,
    ) -> Iterator[Answer]:
        """The answer to one request; the connection ends with the `with` block.

        Raises:
            FetchTargetForbidden: the URL leads where this server may not go; nothing was connected to.
            FetchFailed: there was no answer; `reason` is one of this module's list.
        """
        with contextlib.ExitStack() as stack:
            with _translated():
                transport = stack.enter_context(self._dialer.dial(url, deadline))
                connection = HTTPConnection(url.host, url.port)
                stack.callback(connection.close)
                connection.sock = cast(socket.socket, _Timed(transport, deadline))
                # http.client opens one itself when it has none, to the name and not to what was judged.
                connection.auto_open = 0
                sent = {"Host": url.authority, "User-Agent": self._user_agent, "Accept-Encoding": "identity"}
                connection.request(method, url.path, body, {**sent, **headers}, preload_content=False)
                response = connection.getresponse()
                stack.callback(response.close)
            yield Answer(response.status, response.headers, response)


class _Timed:
    """As much of a socket as http.client uses; whatever waits here waits until the deadline.

    The timeout of a socket would begin anew with every byte of a server that sends one now and
    then. The connection is closed by the dialer, which opened it.
    """

    def __init__(self, transport: socket.socket, deadline: Deadline) -> None:
        self._transport = transport
        self._deadline = deadline

    def settimeout(self, seconds: float | None) -> None:
        """The deadline goes before."""

    def sendall(self, data: bytes) -> None:
        self._transport.settimeout(self._deadline.left())
        self._transport.sendall(data)

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Incoming(self._transport, self._deadline))

    def close(self) -> None:
        """Nothing: a body may still be read when http.client is done with its headers."""


class _Incoming(io.RawIOBase):
    def __init__(self, transport: socket.socket, deadline: Deadline) -> None:
        self._transport = transport
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        self._transport.settimeout(self._deadline.left())
        return self._transport.recv_into(buffer)


def http_failure(answer: Answer, *, who: str, passing: bool) -> FetchFailed:
    """The error for a status that nothing can be done with: reason `http-<status>`.

    The phrase in the message is the standard's; what the other server wrote there is its own.
    """
    phrase = {status.value: f" {status.phrase}" for status in http.HTTPStatus}.get(answer.status, "")
    detail = f"{who} answered {answer.status}{phrase}"
    pause_s = _pause_s(answer.headers.get("Retry-After", ""))
    return FetchFailed(f"http-{answer.status}", detail, passing, pause_s)


def _pause_s(value: str) -> float | None:
    """`Retry-After` (RFC 9110 §10.2.3): seconds, or a date."""
    if re.fullmatch("[0-9]{1,9}", value):
        return min(float(value), LONGEST_PAUSE_S)
    try:
        moment = email.utils.parsedate_to_datetime(value).timestamp()
    except (TypeError, ValueError, OverflowError):
        return None
    return min(max(moment - time.time(), 0), LONGEST_PAUSE_S)


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    """What goes wrong on a connection, in our words."""
    try:
        yield
    except (OSError, urllib3.exceptions.HTTPError, http.client.HTTPException, ValueError) as error:
        raise _in_our_words(error) from error


def _in_our_words(error: Exception) -> FetchFailed:
    match error:
        case TimeoutError() | urllib3.exceptions.TimeoutError():
            return FetchFailed("timeout", "no connection or no whole answer came in time", passing=True)
        case ssl.SSLCertVerificationError():
            return FetchFailed("tls", "the certificate is not valid for the host")
        case ssl.SSLError() if not isinstance(error, ssl.SSLEOFError):
            return FetchFailed("tls", "no TLS connection could be agreed on")
        case urllib3.exceptions.DecodeError():
            return FetchFailed("content-encoding", "the answer's compression is broken")
        case urllib3.exceptions.ProtocolError() | urllib3.exceptions.SSLError():
            return FetchFailed("cut-short", "the answer ended before its announced length", passing=True)
        case OSError():
            return FetchFailed("connect", "no connection, or it was lost before the answer", passing=True)
    return FetchFailed("bad-answer", "the answer is not HTTP")
