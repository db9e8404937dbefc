"""Clients that send or take a byte now and then hold no place that others need."""

import contextlib
import socket
import time
from collections.abc import Iterator

import pytest

from tests import pictures
from tests.imagestack import API_KEY, ImageStack
from tests.servers import wait_until

CLIENTS = 150
"""More than all threads of the API (2 processes of 16)."""

PATIENCE_S = 10.0
"""What an answer may take meanwhile; on an idle machine they take milliseconds."""

HEAD = b"PUT /slow/x HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + API_KEY.encode() + b"\r\n"


@contextlib.contextmanager
def clients(
    stack: ImageStack, said: bytes, *, receive_bytes: int | None = None
) -> Iterator[list[socket.socket]]:
    """Many connections that have said this and no more."""
    with contextlib.ExitStack() as opened:
        found = []
        for _ in range(CLIENTS):
            client = opened.enter_context(contextlib.closing(socket.socket()))
            if receive_bytes:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
            client.settimeout(30)
            client.connect(("127.0.0.1", stack.nginx.port))
            client.sendall(said)
            found.append(client)
        yield found


def assert_others_are_served(stack: ImageStack) -> None:
    body = pictures.photo(30, 20, seed=int(time.monotonic() * 1000) % 10_000)
    for method, path in [("GET", "/health/ready"), ("GET", "/demo/photo-0.jpg"), ("PUT", "/others/x")]:
        started = time.monotonic()
        answer = stack.writer.request(method, path, content=body if method == "PUT" else b"")
        assert answer.is_success, answer.text
        assert time.monotonic() - started < PATIENCE_S, f"{method} {path}"


@pytest.mark.parametrize(
    "said",
    [
        b"GET /demo/photo-0.jpg HT",
        b"GET /demo/photo-0.jpg HTTP/1.1\r\nHost: x\r\nX-Slow: ",
        HEAD + b"Content-Length: 1000000\r\n\r\n\xff\xd8\xff\xe0",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n4\r\n\xff\xd8\xff\xe0\r\nFFFF\r\n",
    ],
    ids=["request line", "header", "body", "chunks"],
)
def test_slow_senders_hold_up_nobody(attacked: ImageStack, said: bytes) -> None:
    with clients(attacked, said):
        assert_others_are_served(attacked)


def test_slow_takers_hold_up_nobody(attacked: ImageStack) -> None:
    noise = pictures.png(1500, 1000, 8, 2, pictures.texture(1500, 1000).tobytes()).data
    attacked.upload(noise, "demo", "large.png")
    ask = b"GET /demo/large.png HTTP/1.1\r\nHost: x\r\n\r\n"

    with clients(attacked, ask, receive_bytes=2048):
        assert_others_are_served(attacked)


def test_a_header_that_never_ends_is_cut_off(attacked: ImageStack) -> None:
    with socket.create_connection(("127.0.0.1", attacked.nginx.port), timeout=40) as client:
        client.sendall(b"GET /demo/photo-0.jpg HTTP/1.1\r\nHost: x\r\n")
        client.setblocking(False)
        said = b""

        def ended() -> bool:
            nonlocal said
            with contextlib.suppress(BlockingIOError):
                client.sendall(b"X: y\r\n")
                said += client.recv(4096)
                return True
            return False

        # nginx' client_header_timeout is 10 s, counted from the start and not from the last byte.
        with contextlib.suppress(ConnectionError):
            wait_until(ended, what="nginx cut it off", timeout_s=35)

    assert said[:12] in (b"", b"HTTP/1.1 408", b"HTTP/1.1 431")
