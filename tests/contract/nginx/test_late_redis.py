"""nginx in front of a Redis whose answer comes just after nginx has given up waiting for it."""

import contextlib
import socketserver
import threading
from collections.abc import Iterator
from pathlib import Path

from tests.front import ORIGINAL, SHA, front

LATE_S = 0.3
"""After nginx' patience with one answer (200 ms), and before that with a second one."""


@contextlib.contextmanager
def late_redis(identity: bytes) -> Iterator[int]:
    """Answers its first request at once, all others late, as if it had been stopped; its port."""
    stopping = threading.Event()
    served = threading.Event()

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with contextlib.suppress(OSError):
                while self.request.recv(65536):
                    if served.is_set():
                        stopping.wait(LATE_S)
                    served.set()
                    self.request.sendall(b"$%d\r\n%b\r\n$-1\r\n" % (len(identity), identity))

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            stopping.set()
            server.shutdown()
            thread.join()


def test_answer_that_comes_late_is_not_taken_for_the_next_one(tmp_path: Path) -> None:
    identity = f"{SHA}/original {len(ORIGINAL)} image/jpeg".encode()
    with (
        late_redis(identity) as port,
        front(tmp_path, nginx_redis_url=f"redis://127.0.0.1:{port}", RECORD_MEMORY_S="0") as running,
    ):
        first = running.http.get("/image/read?id=7")

        second = running.http.get("/image/read?id=7")

        assert (first.status_code, first.content) == (200, ORIGINAL)
        assert (second.status_code, second.content) == (200, b"from the API")
        assert "runtime error" not in running.nginx.log.read_text()
