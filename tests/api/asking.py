"""Questions that an ordinary client would tidy before it sends them, and what answers show."""

import contextlib
import http.client
import io
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx

from tests.described import judge_exchange
from tests.imagestack import API_KEY, ImageStack

AUTH = {"Authorization": f"Bearer {API_KEY}"}


def raw(
    stack: ImageStack, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
) -> httpx.Response:
    """Ask nginx for `path` exactly as it is written, with the API key."""
    connection = http.client.HTTPConnection("127.0.0.1", stack.nginx.port, timeout=30)
    with contextlib.closing(connection):
        sent = {**AUTH, **(headers or {})}
        connection.request(method, path, body, sent)
        said = connection.getresponse()
        answer = httpx.Response(said.status, headers=said.getheaders(), content=said.read())
    route, _, query = path.partition("?")
    judge_exchange(method, route, query, httpx.Headers(sent), body, answer)
    return answer


def spoken(stack: ImageStack, *parts: bytes, until: bytes | None = None) -> bytes:
    """Send `parts` on one connection, and give what came back until nginx closed it.

    With `until`, each part but the first is held back until nginx has said that.
    """
    with socket.create_connection(("127.0.0.1", stack.nginx.port), timeout=20) as connection:
        said = b""
        for number, part in enumerate(parts):
            while number and until and until not in said:
                said += connection.recv(1000)
            connection.sendall(part)
        return said + connection.makefile("rb").read()


def renders(stack: ImageStack) -> float:
    """How many pictures decoders have inspected or rendered until now, in all processes."""
    return stack.metric("imagestore_renders_total")


def workers(stack: ImageStack) -> list[int]:
    """The process ids of gunicorn's workers."""
    assert stack.api.process is not None
    tasks = Path(f"/proc/{stack.api.process.pid}/task/{stack.api.process.pid}/children")
    return [int(pid) for pid in tasks.read_text().split()]


def resident_mib(pid: int, *, peak: bool = False) -> float:
    """Resident memory of a process in MiB, or its peak since `forget_peak`."""
    name = "VmHWM:" if peak else "VmRSS:"
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) / 1024
    return 0


def forget_peak(pid: int) -> None:
    """Let the peak of a process's resident memory start anew (proc(5), clear_refs)."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def in_pieces(body: bytes, size: int = 65536) -> Iterator[bytes]:
    """A body of unknown length, which HTTP/1.1 clients send chunked."""
    stream = io.BytesIO(body)
    while piece := stream.read(size):
        yield piece


def assert_problem(answer: httpx.Response, status: int, name: str) -> dict[str, Any]:
    """The one shape of errors (RFC 9457), with nothing of the inside in it."""
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.headers["Cache-Control"] == "no-store"
    problem = dict(answer.json())
    assert problem["type"] == f"/problems/{name}"
    assert problem["status"] == status
    assert problem["title"]
    assert problem["detail"]
    assert problem["instance"] == answer.headers["X-Request-Id"]
    for secret in ("Traceback", "/imagestore", ".py", "SELECT", "127.0.0.1", "sqlite", "nginx/", "gunicorn"):
        assert secret not in answer.text
    return problem
