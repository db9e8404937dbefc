"""What a worker tells over HTTP, to those beside it in its network: its counters and its health.

In a process of its own, since the worker's jobs come and go. It has no login, and nothing secret.
"""

import socket
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from redis.exceptions import RedisError
from rq import Worker

from imagestore.exposition import exposition
from imagestore.redisclient import open_redis
from imagestore.settings import Settings

HEARTBEAT_AGE_S = 60
"""A heartbeat older than this belongs to a worker that hangs; RQ's longest gap is 30 s (job monitoring)."""

READ_TIMEOUT_S = 5
"""Who connects and says nothing is not waited for."""


def serve(settings: Settings) -> None:
    """Answer `/metrics` and `/health/ready` on WORKER_METRICS_PORT, until SIGTERM.

    Raises:
        OSError: the port is taken.
    """
    with ThreadingHTTPServer(("", settings.worker_metrics_port), _handler(settings)) as server:
        server.serve_forever()


def alive(settings: Settings) -> bool:
    """Whether a worker of this host (in a container: the worker) has shown itself in the last minute."""
    connection = open_redis(settings.queue_url, timeout_s=2)
    oldest = datetime.now(UTC) - timedelta(seconds=HEARTBEAT_AGE_S)
    try:
        mine = [w for w in Worker.all(connection=connection) if w.hostname == socket.gethostname()]
    except RedisError:
        return False
    finally:
        connection.close()
    return any(w.last_heartbeat is not None and w.last_heartbeat > oldest for w in mine)


def _handler(settings: Settings) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = READ_TIMEOUT_S

        def do_GET(self) -> None:
            if self.path == "/metrics":
                self._send(200, *exposition())
            elif self.path == "/health/ready":
                ready = alive(settings)
                self._send(200 if ready else 503, "text/plain", b"ready\n" if ready else b"no worker\n")
            else:
                self._send(404, "text/plain", b"there are /metrics and /health/ready\n")

        def _send(self, status: int, content_type: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """A scrape is nothing to write home about."""

    return Handler
