"""More new pictures than can be made, and clients that leave in the middle: nothing of it stays."""

import concurrent.futures
import contextlib
import http.client
import itertools
import socket
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from bench import asking
from bench.held import held, wait_until_as
from tests import pictures
from tests.imagestack import ImageStack, image_stack

CLIENTS = 64
SECONDS = 2
PATIENCE_S = 0.05
"""Of who leaves: one picture takes about as long, and dozens wait."""


def test_after_an_overload_all_is_as_before_and_pictures_are_made(tmp_path: Path) -> None:
    with image_stack(tmp_path / "stack", RENDER_PROCESSES="1", BASE_MIN_PIXELS="0") as stack:
        read = f"/image/read?id={stack.upload(pictures.photo(2400, 1800, seed=75))['id']}"
        # From the original: what an upload leaves in Redis is smaller.
        widths = itertools.count(600)
        kept = stack.http.get(f"{read}&width=90").raise_for_status().content
        asking.ask([f"{stack.address}{read}&width={next(widths)}" for _ in range(32)], clients=32)
        before = held(stack)

        statuses, left = overload(stack, lambda: f"{read}&width={next(widths)}")
        wait_until_as(before, stack)
        again = stack.http.get(f"{read}&width=90")
        fresh = [stack.http.get(f"{read}&width={next(widths)}").status_code for _ in range(4)]

    assert statuses
    assert set(statuses) <= {200, 503}
    assert left > 0
    assert again.content == kept
    assert fresh == [200] * 4


def overload(stack: ImageStack, new: Callable[[], str]) -> tuple[list[int], int]:
    """All clients leave once without an answer, the first of them from the API, where all places are free.
    Then half of them wait for their answers, whose statuses come back; the others leave the line, so
    often as is said."""

    def in_time(ask: Callable[[], int]) -> Iterator[int]:
        until = time.monotonic() + SECONDS
        while time.monotonic() < until:
            yield ask()

    def stay() -> int:
        connection = http.client.HTTPConnection("127.0.0.1", stack.nginx.port, timeout=30)
        with contextlib.closing(connection):
            connection.request("GET", new())
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 200 or answer.headers["Retry-After"]
            return answer.status

    def leave() -> int:
        with socket.create_connection(("127.0.0.1", stack.nginx.port), timeout=30) as connection:
            connection.sendall(f"GET {new()} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            time.sleep(PATIENCE_S)
            connection.setblocking(False)
            try:
                answered = bool(connection.recv(1, socket.MSG_PEEK))
            except BlockingIOError:
                answered = False
            if connection.fileno() % 2:
                # By a reset in place of an orderly end.
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return not answered

    with concurrent.futures.ThreadPoolExecutor(CLIENTS) as clients:
        concurrent.futures.wait([clients.submit(leave) for _ in range(CLIENTS)])
        stays = [clients.submit(list, in_time(stay)) for _ in range(CLIENTS // 2)]
        leaves = [clients.submit(sum, in_time(leave)) for _ in range(CLIENTS // 2)]
        statuses = [status for each in stays for status in each.result()]
        return statuses, sum(each.result() for each in leaves)
