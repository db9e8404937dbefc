"""gunicorn's settings. Each line says why it differs from gunicorn's default."""

import json
import os
import uuid

from gunicorn import util
from gunicorn.glogging import Logger
from gunicorn.http.unreader import SocketUnreader

from api.errors import PROBLEMS
from imagestore.logs import formatter
from imagestore.metrics import announce_threads, forget_process

bind = os.environ.get("API_BIND", "0.0.0.0:8000")

# Python work is short next to a render, and renders run in processes of their own, so that a few
# processes with threads do; sync and gevent workers let one long C call hold up all others.
worker_class = "gthread"
workers = int(os.environ.get("API_WORKERS") or min(4, os.cpu_count() or 1))
threads = int(os.environ.get("API_THREADS") or 16)

# nginx in front keeps its connections open; ours must outlast its 60 s.
keepalive = 75

# A body is read as the spool asks for it: gunicorn 27 receives up to 1 MiB at once, and what was not
# asked for yet it copies twice for each read (7.4 ms of processor time for 4.4 MB, with this 3.1).
SocketUnreader.max_body_chunk = 256 * 1024

# As nginx: a request line of 8 KiB, headers of 32 KiB in all.
limit_request_line = 8190
limit_request_field_size = 32 * 1024

# nginx is another host in a container network, and nothing else reaches this port.
forwarded_allow_ips = "*"

# Finish what runs at SIGTERM (promises §22).
graceful_timeout = 30

# The default creates a socket in the home directory.
control_socket_disable = True

# The heartbeat file must not wait for a slow disk.
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None

# nginx writes the access log, with ids; the rest looks like our own lines.
accesslog = None


class Lines(Logger):
    """gunicorn's lines, in the form of ours. (With a logconfig_dict it would log each request, too.)"""

    def setup(self, cfg):
        super().setup(cfg)
        for handler in self.error_log.handlers:
            handler.setFormatter(formatter(os.environ.get("LOG_FORMAT", "")))


logger_class = Lines


def write_problem(sock, status_int, reason, mesg):
    """A problem in place of gunicorn's own page, which is HTML and repeats what the client sent.

    For requests that cannot be parsed, so that the request's id is not known here: nginx makes the
    problem anew, with the id, where it is told to; who asks without nginx gets this one.
    """
    name = {414: "uri-too-long", 431: "headers-too-large", 500: "internal-error"}.get(status_int)
    status, title = PROBLEMS[name or "invalid-request"]
    problem = {"type": f"/problems/{name or 'invalid-request'}", "title": title, "status": status}
    problem["instance"] = uuid.uuid4().hex
    body = json.dumps({**problem, "detail": "the request line, a header or the framing is not valid HTTP"})
    head = f"HTTP/1.1 {status} {reason}\r\nConnection: close\r\nContent-Type: application/problem+json\r\n"
    head += f"X-Accel-Redirect: /_problem/{name or 'invalid-request'}\r\n"
    head += f"Cache-Control: no-store\r\nContent-Length: {len(body)}\r\n\r\n"
    util.write_nonblock(sock, (head + body).encode("latin1"))


# gunicorn has no setting for it.
util.write_error = write_problem


def post_worker_init(worker):
    """For the use of threads, which is counted too."""
    announce_threads(threads)


def child_exit(server, worker):
    """What a gone process had under way is not counted any more."""
    forget_process(worker.pid)
