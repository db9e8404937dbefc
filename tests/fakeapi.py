"""A stand-in for the API, or for an S3 endpoint: says what a test tells it to, and remembers who asked."""

import contextlib
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.servers import free_port


@dataclass(frozen=True)
class Asked:
    """One request as it arrived: the path raw, header names in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Says:
    """One answer. `wait` holds it back until it is set."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b"from the API"
    wait: threading.Event | None = None


class FakeApi:
    """Answers each raw path as `answers` says, others with 200 and `from the API`."""

    def __init__(self) -> None:
        self.port = free_port()
        self.asked: list[Asked] = []
        self.answers: dict[str, Says] = {}
        self._server: ThreadingHTTPServer | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # Head and body are two writes; Nagle's algorithm would hold the second one back for 40 ms.
            disable_nagle_algorithm = True

            def log_message(self, *arguments: object) -> None:
                pass

            def __getattr__(self, name: str) -> object:
                if name.startswith("do_"):
                    return lambda: fake._answer(self)
                raise AttributeError(name)

        self._server = _Server(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        if self._server:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        if self._server is None:
            # A kept connection of a server that was stopped.
            handler.close_connection = True
            return
        length = int(handler.headers.get("Content-Length", 0))
        headers = {name.lower(): value for name, value in handler.headers.items()}
        self.asked.append(Asked(handler.command, handler.path, headers, handler.rfile.read(length)))
        says = self.answers.get(handler.path, Says())
        if says.wait:
            says.wait.wait(30)
        handler.send_response(says.status)
        for name, value in says.headers.items():
            handler.send_header(name, value)
        if "Content-Length" not in says.headers:
            handler.send_header("Content-Length", str(len(says.body)))
        handler.end_headers()
        if handler.command != "HEAD":
            with contextlib.suppress(ConnectionError):
                handler.wfile.write(says.body)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Connections that nginx closes early are no news."""


@contextlib.contextmanager
def fake_api() -> Iterator[FakeApi]:
    fake = FakeApi()
    fake.start()
    try:
        yield fake
    finally:
        fake.stop()
