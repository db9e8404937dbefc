"""Questions that nginx takes to Redis together: how often it goes, and that nobody gets an older answer."""

import contextlib
import http.client
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.front import MD5, PICTURE, PICTURE_FIELD, RECIPE, SHA, Front, front
from tests.frontanswers import URL
from tests.relay import relay
from tests.servers import wait_until
from tests.unit.render.decoding import children

MISS = b"from the API"
ALWAYS_ASKS = {"WORKERS": "1", "RECORD_MEMORY_S": "0", "PICTURE_MEMORY": "0", "RENDER_PLACES": "20"}
WISHES = [f"{name}&w=300" for name in ("id=7", f"sum={MD5}", f"sum={SHA}")]
URLS = [
    f"{prefix}/image/read?{wish}"
    for prefix in ("", "/v1")
    for wish in WISHES + ["&".join(reversed(wish.split("&"))) for wish in WISHES]
]
"""Twelve ways to ask for one picture."""


@pytest.fixture
def one_worker(tmp_path: Path) -> Iterator[Front]:
    with front(tmp_path, **ALWAYS_ASKS) as running:
        yield running


def at_once(asked: Front, urls: list[str], *, after: Callable[[], Any]) -> list[bytes]:
    """The bodies of all, which the worker of nginx finds in one look at its connections. Before, `after`
    happens, when it has accepted them and knows what each URL means."""
    with contextlib.ExitStack() as stack:
        connections = [connected(stack, asked) for _ in urls]
        for connection, url in zip(connections, urls, strict=True):
            answered(connection, url)
        asked.nginx.pause()
        stack.callback(asked.nginx.resume)
        wait_until(lambda: all(map(is_stopped, children(asked.nginx.pid))), what="nginx stands still")
        after()
        for connection, url in zip(connections, urls, strict=True):
            connection.request("GET", url)
        asked.nginx.resume()
        return [connection.getresponse().read() for connection in connections]


def connected(stack: contextlib.ExitStack, asked: Front) -> http.client.HTTPConnection:
    connection = http.client.HTTPConnection("127.0.0.1", asked.nginx.port, timeout=20)
    return stack.enter_context(contextlib.closing(connection))


def answered(connection: http.client.HTTPConnection, url: str) -> bytes:
    connection.request("GET", url)
    return connection.getresponse().read()


def is_stopped(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


def calls(asked: Front, command: str) -> int:
    """How often Redis was told a command, by clients and by scripts, since its counts were reset."""
    told: dict[str, dict[str, int]] = asked.raw.info("commandstats")
    return told[f"cmdstat_{command}"]["calls"]


def reads(asked: Front) -> int:
    """How often Redis has read from a connection since then, this question not counted."""
    return int(asked.raw.info("stats")["total_reads_processed"]) - 1


def test_question_of_forty_clients_is_asked_twice(one_worker: Front) -> None:
    bodies = at_once(one_worker, [URL] * 40, after=one_worker.raw.config_resetstat)

    assert bodies == [PICTURE.body] * 40
    # The first one goes at once, all others together.
    assert reads(one_worker) == 2
    assert calls(one_worker, "evalsha") == 2
    # The spelling in the script, and the picture beside it.
    assert calls(one_worker, "hget") == 4


def test_twelve_questions_are_two_round_trips(one_worker: Front) -> None:
    bodies = at_once(one_worker, URLS, after=one_worker.raw.config_resetstat)

    assert bodies == [PICTURE.body] * 12
    assert reads(one_worker) == 2
    assert calls(one_worker, "evalsha") == 12


def test_more_questions_than_there_are_seats_are_all_answered(one_worker: Front) -> None:
    for number in range(100):
        one_worker.cache.teach(f"w=300&h={number}", PICTURE_FIELD, None, RECIPE)
    urls = [f"/image/read?id=7&w=300&h={number}" for number in range(100)]

    bodies = at_once(one_worker, urls, after=lambda: None)

    assert bodies == [PICTURE.body] * 100
    assert one_worker.api.asked == []


def test_script_that_redis_lost_is_told_again_for_all(one_worker: Front) -> None:
    bodies = at_once(one_worker, URLS, after=one_worker.raw.script_flush)

    assert bodies == [PICTURE.body] * 12
    assert one_worker.api.asked == []


def test_who_asks_after_a_change_gets_no_answer_from_before(tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        way = stack.enter_context(relay())
        running = stack.enter_context(
            front(tmp_path, nginx_redis_url=f"redis://127.0.0.1:{way.port}", **ALWAYS_ASKS)
        )
        way.target_port = running.redis.port
        early, late, other = (connected(stack, running) for _ in range(3))
        for connection in (early, late, other):
            assert answered(connection, URL) == PICTURE.body
        way.open.clear()
        way.has_answer.clear()
        early.request("GET", URL)
        assert way.has_answer.wait(10)

        running.raw.delete("record:7")
        late.request("GET", URL)
        # When this one is answered, nginx has read the one before.
        answered(other, "/images/7")
        way.open.set()

        assert late.getresponse().read() == MISS
        # On a busy machine it was held back for too long.
        assert early.getresponse().read() in (PICTURE.body, MISS)


def test_those_behind_do_not_try_a_redis_that_hung_for_the_first(one_worker: Front) -> None:
    bodies = at_once(one_worker, URLS, after=one_worker.redis.pause)

    assert bodies == [MISS] * 12
    assert one_worker.nginx.log.read_text().count("the cache is away") == 1
    one_worker.redis.resume()
    wait_until(lambda: one_worker.http.get(URL).content == PICTURE.body, what="Redis is asked again")


def test_slow_flight_is_not_waited_for_to_its_end(tmp_path: Path) -> None:
    with (
        relay() as way,
        front(tmp_path, nginx_redis_url=f"redis://127.0.0.1:{way.port}", **ALWAYS_ASKS) as running,
    ):
        way.target_port = running.redis.port
        # Each line comes in the 200 ms that it may take, unless the machine is busy; all do not in the 400 ms
        # that others wait.
        first, *others = at_once(running, URLS, after=lambda: setattr(way, "pause_s", 0.1))
        way.pause_s = 0

        assert first in (PICTURE.body, MISS)
        assert others == [MISS] * 11
        wait_until(lambda: running.http.get(URL).content == PICTURE.body, what="Redis is asked again")
