"""What is asked of nginx in its tests, and what its answers look like."""

import json
import socket
from urllib.parse import quote

import httpx

from tests.front import RECORD

SHORT = "public, max-age=10, must-revalidate"
FOR_EVER = "public, max-age=31536000, immutable"
URL = "/image/read?id=7&w=300"
NAME = f"/demo/{quote(RECORD.dkey)}"
SECURITY = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cross-Origin-Resource-Policy": "cross-origin",
}


def assert_problem(answer: httpx.Response, status: int, name: str) -> None:
    assert answer.status_code == status, answer.content[:200]
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert ("Retry-After" in answer.headers) == (status in (429, 503))
    assert "ETag" not in answer.headers
    problem = answer.json()
    assert problem["type"] == f"/problems/{name}"
    assert problem["status"] == status
    assert problem["title"]
    assert problem["detail"]
    assert problem["instance"] == answer.headers["X-Request-Id"]
    assert len(problem["instance"]) == 32


def from_api(answer: httpx.Response) -> bool:
    return answer.content == b"from the API"


def raw_exchange(port: int, request: bytes) -> bytes:
    """All that nginx says to these very bytes, until it closes."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(request)
        received = b""
        while chunk := connection.recv(65536):
            received += chunk
    return received


def raw_problem(received: bytes) -> dict[str, object]:
    problem: dict[str, object] = json.loads(received.partition(b"\r\n\r\n")[2])
    return problem
