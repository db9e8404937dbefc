"""What the client does when a server is busy, away, or answers in another way than it should."""

import contextlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from imagestore.client import Busy, Client, Download, NotAllowed, NotThere, Refused, ServerFault, Unreachable
from tests.servers import free_port

Answer = tuple[int, dict[str, str], bytes]


def problem(status: int, name: str, **headers: str) -> Answer:
    body = {"type": f"/problems/{name}", "title": "T", "status": status, "detail": "why", "instance": "r-1"}
    return status, {"Content-Type": "application/problem+json", **headers}, json.dumps(body).encode()


def task(number: int) -> Answer:
    members = ("kind", "domain", "dkey", "url", "flag", "problem", "flag_ext", "image_id", "end_time")
    body = dict.fromkeys(members) | {"id": number, "attempts": 0}
    return 200, {}, json.dumps({**body, "create_time": "2026-11-23T19:19:13.243Z"}).encode()


@dataclass
class Scripted:
    """Answers in the order given, and remembers what it was asked."""

    answers: list[Answer]
    bodies: list[bytes] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)
    batches: list[str | None] = field(default_factory=list)


@contextlib.contextmanager
def serving(*answers: Answer) -> Iterator[tuple[Scripted, Client]]:
    script = Scripted(list(answers))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _any(self) -> None:
            script.paths.append(self.path)
            script.batches.append(self.headers.get("Idempotency-Key"))
            script.keys.append(self.headers.get("Authorization"))
            script.bodies.append(self.rfile.read(int(self.headers.get("Content-Length", 0))))
            status, headers, body = script.answers.pop(0)
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)
            self.close_connection = "Connection" in headers

        do_GET = do_POST = do_PUT = do_DELETE = _any  # noqa: N815 - http.server looks for these names

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        with Client(f"http://127.0.0.1:{server.server_port}", "k" * 16, patience_s=20) as client:
            yield script, client
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_busy_servers_are_asked_again_after_their_pause() -> None:
    busy = problem(503, "overloaded", **{"Retry-After": "0"})
    with serving(busy, problem(429, "rate-limited", **{"Retry-After": "0"}), task(3)) as (script, client):
        found = client.tasks.get(3)

    assert found.id == 3
    assert script.paths == ["/v1/tasks/3"] * 3
    assert script.keys == ["Bearer " + "k" * 16] * 3


def test_a_pause_that_is_too_long_is_not_waited_for() -> None:
    busy = problem(503, "overloaded", **{"Retry-After": "3600"})
    with serving(busy) as (script, client), pytest.raises(Busy) as caught:
        client.tasks.get(3)

    assert caught.value.problem.name == "overloaded"
    assert caught.value.retry_after_s == 3600
    assert len(script.paths) == 1


def test_an_upload_is_sent_again_whole() -> None:
    refusal = problem(415, "unsupported-media-type")
    busy = problem(503, "overloaded", **{"Retry-After": "0"})
    with serving(busy, refusal) as (script, client), pytest.raises(Refused):
        client.upload(b"picture " * 50_000, domain="demo", metadata={"ü": 1})

    assert script.bodies[0] == script.bodies[1]
    assert script.bodies[0].count(b"picture ") == 50_000
    assert '{"ü": 1}'.encode() in script.bodies[0]


def test_a_batch_is_sent_again_under_the_same_key() -> None:
    busy = problem(503, "overloaded", **{"Retry-After": "0"})
    with serving(busy, (202, {}, b'{"tasks": [], "rejected": []}')) as (script, client):
        outcomes = list(client.tasks.submit_many([Download("http://a.example/")]))

    assert outcomes == []
    assert script.bodies == [b'{"url": "http://a.example/"}'] * 2
    assert script.batches[0]
    assert script.batches[0] == script.batches[1]


@pytest.mark.parametrize(
    ("status", "kind"),
    [(401, NotAllowed), (403, NotAllowed), (404, NotThere), (422, Refused), (500, ServerFault)],
)
def test_problems_are_told_apart_and_carried(status: int, kind: type[Refused]) -> None:
    with serving(problem(status, "some-name")) as (_, client), pytest.raises(kind) as caught:
        client.tasks.get(3)

    assert (caught.value.problem.name, caught.value.problem.status) == ("some-name", status)
    assert (caught.value.problem.detail, caught.value.problem.instance) == ("why", "r-1")


def test_an_error_of_another_server_is_no_puzzle() -> None:
    with serving((404, {}, b"<html>")) as (_, client), pytest.raises(NotThere) as caught:
        client.tasks.get(3)

    assert caught.value.problem.name == "http-404"


def test_nobody_there_is_unreachable() -> None:
    with Client(f"http://127.0.0.1:{free_port()}", patience_s=0) as client, pytest.raises(Unreachable):
        client.info(1)


def test_an_answer_that_is_cut_short_is_unreachable() -> None:
    cut = (200, {"Content-Length": "100", "Connection": "close"}, b"short")
    with serving(cut) as (_, client), pytest.raises(Unreachable):
        client.read(1)


@pytest.mark.parametrize("server", ["ftp://x", "http://", "http://u:p@x", "http://x:99999", "http://x?y", ""])
def test_what_is_no_address_is_refused(server: str) -> None:
    with pytest.raises(ValueError, match="server"):
        Client(server)
