"""A way to a server that a test can make slow: what the server answers can be held back, or dribble."""

import contextlib
import socket
import socketserver
import threading
import time
from collections.abc import Iterator


class Relay:
    """Passes bytes on, both ways. Answers wait for `open`; with a `pause_s` they come line by line, and so
    slowly."""

    def __init__(self) -> None:
        self.port = 0
        self.target_port = 0
        self.pause_s = 0.0
        self.open = threading.Event()
        self.open.set()
        self.has_answer = threading.Event()
        """Set once the server has answered."""

    def serve(self, client: socket.socket) -> None:
        """One connection, until either side ends it."""
        with socket.create_connection(("127.0.0.1", self.target_port)) as server:
            answers = threading.Thread(target=self._answer, args=(server, client))
            answers.start()
            _pump(client, server)
            server.shutdown(socket.SHUT_RDWR)
            answers.join()

    def _answer(self, server: socket.socket, client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while chunk := server.recv(65536):
                self.has_answer.set()
                self.open.wait(30)
                for piece in chunk.splitlines(keepends=True) if self.pause_s else [chunk]:
                    time.sleep(self.pause_s)
                    client.sendall(piece)


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while chunk := source.recv(65536):
            sink.sendall(chunk)


@contextlib.contextmanager
def relay() -> Iterator[Relay]:
    """A relay that runs; it is told later where to."""
    running = Relay()

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            running.serve(self.request)

    class Threads(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with Threads(("127.0.0.1", 0), Handler) as server:
        running.port = server.server_address[1]
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        try:
            yield running
        finally:
            running.open.set()
            server.shutdown()
