"""Stands between the server and its S3, and lets it fail in the ways that S3 fails."""

import contextlib
import selectors
import socket
import socketserver
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Mood = Literal["well", "hangs", "503"]

_SLOW_DOWN = b"<?xml version='1.0'?><Error><Code>SlowDown</Code><Message>Reduce your rate</Message></Error>"
_BUSY = (
    b"HTTP/1.1 503 Slow Down\r\nContent-Type: application/xml\r\nConnection: close\r\n"
    b"Content-Length: %d\r\n\r\n%b" % (len(_SLOW_DOWN), _SLOW_DOWN)
)


@dataclass
class S3Proxy:
    """Passes bytes on in both directions unless `mood` says otherwise.

    `hangs`: connections are accepted, and nothing comes back, also on those that are open.
    `503`: S3's SlowDown to every request, without looking at it.
    """

    port: int
    mood: Mood = "well"

    @property
    def hangs(self) -> bool:
        return self.mood == "hangs"


@contextlib.contextmanager
def s3_proxy(port_of_s3: int) -> Iterator[S3Proxy]:
    """A proxy on a free port of loopback."""
    stopping = threading.Event()

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with (
                contextlib.suppress(OSError),
                socket.create_connection(("127.0.0.1", port_of_s3), timeout=5) as behind,
            ):
                _relay(self.request, behind, proxy, stopping)

    class Server(socketserver.ThreadingTCPServer):
        allow_reuse_address = True
        request_queue_size = 128
        daemon_threads = False

    with Server(("127.0.0.1", 0), Handler) as server:
        proxy = S3Proxy(server.server_address[1])
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield proxy
        finally:
            stopping.set()
            server.shutdown()
            thread.join()


def _relay(client: socket.socket, behind: socket.socket, proxy: S3Proxy, stopping: threading.Event) -> None:
    with selectors.DefaultSelector() as ready:
        ready.register(client, selectors.EVENT_READ, behind)
        ready.register(behind, selectors.EVENT_READ, client)
        while not stopping.is_set():
            if proxy.hangs:
                stopping.wait(0.05)
                continue
            for key, _ in ready.select(0.1):
                if proxy.hangs:
                    break
                here, there = key.fileobj, key.data
                assert isinstance(here, socket.socket)
                data = here.recv(65536)
                if not data:
                    return
                if proxy.mood == "503" and here is client:
                    client.sendall(_BUSY)
                    _drain(client)
                    return
                there.sendall(data)


def _drain(client: socket.socket) -> None:
    """Take the rest of a request, since a close with unread bytes would cut the answer off."""
    client.shutdown(socket.SHUT_WR)
    client.settimeout(1)
    with contextlib.suppress(TimeoutError):
        while client.recv(65536):
            pass
