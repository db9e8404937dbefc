"""A web server for the tests, on loopback, that behaves as well or as badly as a path is told to.

    with origin() as server:
        server.paths["/a.png"] = answer(body=png)
        server.paths["/gone.png"] = answer(404)
        fetch(server.url("/a.png"))

It speaks HTTP/1.1, one request per connection, and counts every connection, also those on which
nothing is asked. A behaviour is any function of an `Exchange`.
"""

import contextlib
import gzip
import http
import socket
import socketserver
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

NO_HEADERS: Mapping[str, str] = {}


@dataclass(frozen=True)
class Request:
    """What a client asked; header names are in lower case."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes


@dataclass
class Exchange:
    """One request and the means to answer it, well or badly."""

    request: Request
    _connection: socket.socket
    _stopped: threading.Event

    @property
    def client(self) -> str:
        """The address that the request came from."""
        return str(self._connection.getpeername()[0])

    def send(self, data: bytes) -> None:
        self._connection.sendall(data)

    def pause(self, seconds: float) -> None:
        """Let time pass, but not beyond the server's end.

        Raises:
            ConnectionError: the server ends.
        """
        if self._stopped.wait(seconds):
            raise ConnectionError


Behaviour = Callable[[Exchange], None]


@dataclass
class Origin:
    """A running server: what it answers, and what it has seen."""

    host: str
    port: int
    tls: bool
    paths: dict[str, Behaviour] = field(default_factory=dict)
    """Path -> what happens there; the query is not looked at. Any other path is a 404."""
    requests: list[Request] = field(default_factory=list)
    connections: int = 0
    server_names: list[str | None] = field(default_factory=list)
    """What clients asked for in the TLS handshake (SNI)."""

    @property
    def service(self) -> str:
        """Host and port, as in `FETCH_ALLOW`."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def url(self, path: str) -> str:
        return f"http{'s' if self.tls else ''}://{self.service}{path}"


@contextlib.contextmanager
def origin(
    paths: Mapping[str, Behaviour] | None = None,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    tls: ssl.SSLContext | None = None,
) -> Iterator[Origin]:
    """A server on loopback; ends what hangs when the block ends."""
    stopped = threading.Event()

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            seen.connections += 1
            with contextlib.suppress(OSError, ValueError), _wrapped(self.request, tls) as connection:
                request = _read_request(connection)
                if request is not None:
                    seen.requests.append(request)
                    behaviour = seen.paths.get(request.target.partition("?")[0], answer(404))
                    behaviour(Exchange(request, connection, stopped))

    class Server(socketserver.ThreadingTCPServer):
        address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        allow_reuse_address = True
        request_queue_size = 128
        daemon_threads = False

    with Server((host, port), Handler) as server:
        seen = Origin(host, server.server_address[1], tls is not None, dict(paths or {}))
        if tls is not None:
            tls.sni_callback = lambda _socket, name, _context: seen.server_names.append(name)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield seen
        finally:
            stopped.set()
            server.shutdown()
            thread.join()


def answer(
    status: int = 200,
    headers: Mapping[str, str] = NO_HEADERS,
    body: bytes = b"",
    *,
    length: int | None = None,
) -> Behaviour:
    """A whole answer; `length` announces another length than the body has."""
    announced = len(body) if length is None else length
    return lambda exchange: exchange.send(head(status, {"Content-Length": str(announced), **headers}) + body)


def head(status: int, headers: Mapping[str, str] = NO_HEADERS) -> bytes:
    """Status line and headers."""
    lines = [f"HTTP/1.1 {status} {http.HTTPStatus(status).phrase}", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode("utf-8")


def redirect(location: str, status: int = 302) -> Behaviour:
    return answer(status, {"Location": location})


def hang(exchange: Exchange) -> None:
    """Never answer."""
    exchange.pause(600)


def drip(data: bytes, *, after: bytes = b"", pause_s: float = 0.02) -> Behaviour:
    """Send `after` at once and `data` byte by byte, and then no more; never close."""

    def behave(exchange: Exchange) -> None:
        exchange.send(after)
        for byte in data:
            exchange.send(bytes([byte]))
            exchange.pause(pause_s)
        exchange.pause(600)

    return behave


def endless(exchange: Exchange) -> None:
    """A body that does not announce its length and does not end."""
    exchange.send(head(200))
    while True:
        exchange.send(bytes(64 * 1024))


def raw(data: bytes) -> Behaviour:
    """Send exactly that, and close."""
    return lambda exchange: exchange.send(data)


def reset(exchange: Exchange) -> None:
    """End the connection by RST instead of an answer."""
    linger = b"\1\0\0\0\0\0\0\0"
    exchange._connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)


def chunked(*chunks: bytes, ended: bool = True) -> Behaviour:
    """A body in chunks (RFC 9112 §7.1), without the last one unless `ended`."""
    coded = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
    return raw(head(200, {"Transfer-Encoding": "chunked"}) + coded + (b"0\r\n\r\n" if ended else b""))


def gzipped(body: bytes, encoding: str = "gzip") -> Behaviour:
    """The body compressed, whatever the client accepts."""
    return answer(headers={"Content-Encoding": encoding}, body=gzip.compress(body))


def versioned(body: bytes, *, etag: str | None = None, last_modified: str | None = None) -> Behaviour:
    """200 with validators, or 304 for a client that has this version."""
    headers = {"ETag": etag, "Last-Modified": last_modified}
    validators = {name: value for name, value in headers.items() if value is not None}

    def behave(exchange: Exchange) -> None:
        asked = exchange.request.headers
        known = etag is not None and asked.get("if-none-match") == etag
        known = known or (last_modified is not None and asked.get("if-modified-since") == last_modified)
        exchange.send(
            head(304) if known else head(200, {"Content-Length": str(len(body)), **validators}) + body
        )

    return behave


def ipv6_on_loopback() -> bool:
    """Whether this machine has ::1."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET6) as probe:
        probe.bind(("::1", 0))
        return True
    return False


@contextlib.contextmanager
def _wrapped(connection: socket.socket, tls: ssl.SSLContext | None) -> Iterator[socket.socket]:
    if tls is None:
        yield connection
        return
    with tls.wrap_socket(connection, server_side=True) as wrapped:
        yield wrapped


def _read_request(connection: socket.socket) -> Request | None:
    with connection.makefile("rb") as stream:
        words = stream.readline().decode("latin-1").split()
        if len(words) != 3:
            return None
        headers = {}
        while line := stream.readline().strip():
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.lower()] = value.strip()
        return Request(words[0], words[1], headers, stream.read(int(headers.get("content-length", "0"))))
