"""Processes that end, by signal or by force: what was acknowledged stays."""

import concurrent.futures
import contextlib
import hashlib
import itertools
import os
import signal
import threading
from pathlib import Path

import httpx
import pytest

from bench.processes import family
from tests import pictures
from tests.api.asking import workers
from tests.imagestack import API_KEY, ImageStack
from tests.servers import wait_until
from tests.unit.render.decoding import alive


def put(address: str, name: str, body: bytes) -> int:
    """The status of a PUT; 0 when the connection broke."""
    with contextlib.suppress(httpx.HTTPError):
        headers = {"Authorization": f"Bearer {API_KEY}"}
        return httpx.put(f"{address}/ends/{name}", content=body, headers=headers, timeout=40).status_code
    return 0


def spooled(stack: ImageStack) -> list[Path]:
    return list((stack.folder / "data" / "spool").glob("*.upload"))


@pytest.mark.parametrize("victim", ["worker", "everything"])
def test_no_acknowledged_upload_is_lost_when_the_api_is_killed(own_stack: ImageStack, victim: str) -> None:
    bodies = [pictures.photo(300 + n, 200, seed=n) for n in range(8)]
    done = threading.Event()
    acknowledged: dict[str, bytes] = {}

    def upload(client: int) -> None:
        for number in itertools.count():
            if done.is_set():
                return
            # A few bytes behind the end of a JPEG are ignored by all, and make it another file.
            name, body = f"{client}-{number}", bodies[client * 2 + number % 2] + os.urandom(8)
            if put(own_stack.address, name, body) == 201:
                acknowledged[name] = body

    with concurrent.futures.ThreadPoolExecutor(4) as clients:
        uploading = [clients.submit(upload, client) for client in range(4)]
        for at_least in (6, 12, 18):
            wait_until(lambda enough=at_least: len(acknowledged) >= enough, what="uploads are acknowledged")
            if victim == "worker":
                os.kill(workers(own_stack)[0], signal.SIGKILL)
            else:
                own_stack.api.kill()
                own_stack.api.start(timeout_s=40)
        wait_until(lambda: len(acknowledged) >= 30, what="uploads go on after the last kill", timeout_s=40)
        done.set()
        for each in uploading:
            each.result()

    for name, body in acknowledged.items():
        answer = own_stack.http.get(f"/ends/{name}")
        assert (answer.status_code, answer.content) == (200, body)
        digest = hashlib.sha256(body).hexdigest()
        assert own_stack.http.get(f"/image/info?sum={digest}").json()["dkey"] == name
    assert own_stack.http.get(f"/image/read?sum={digest}&width=33").status_code == 200


def test_sigterm_finishes_a_running_upload_and_exits_with_0(own_stack: ImageStack) -> None:
    body = pictures.photo(4000, 3000, seed=71)
    process = own_stack.api.process
    assert process is not None

    with concurrent.futures.ThreadPoolExecutor(1) as client:
        upload = client.submit(put, own_stack.address, "finished", body)
        wait_until(lambda: bool(spooled(own_stack)), what="the upload is under way")
        process.send_signal(signal.SIGTERM)
        status = upload.result(timeout=35)

    assert status == 201
    assert process.wait(timeout=35) == 0
    assert spooled(own_stack) == []
    own_stack.api.process = None
    own_stack.api.start(timeout_s=40)
    own_stack.wait_ready()
    assert own_stack.http.get("/ends/finished").content == body


def test_nothing_of_the_api_is_left_behind_when_it_stops(own_stack: ImageStack) -> None:
    image = own_stack.upload(pictures.photo(900, 700, seed=72))
    assert own_stack.http.get(f"/image/read?id={image['id']}&width=70").status_code == 200
    process = own_stack.api.process
    assert process is not None
    # Decoders too, which are in no process group of gunicorn's.
    everybody = family(process.pid)

    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=35) == 0

    wait_until(lambda: not any(map(alive, everybody)), what="all children are gone", timeout_s=5)
