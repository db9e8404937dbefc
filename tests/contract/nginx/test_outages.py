"""nginx in front of a stand-in for the API: what goes on when the API or Redis is away or elsewhere."""

import contextlib
import socket
import threading
from pathlib import Path
from urllib.parse import quote

import redis

from tests.fakeapi import Says
from tests.front import ORIGINAL, PICTURE, Front, front
from tests.frontanswers import NAME, URL, assert_problem, from_api
from tests.servers import redis_server, wait_until


def test_dead_api_is_503_and_pictures_still_come(own: Front) -> None:
    own.api.stop()

    assert own.http.get(URL).content == PICTURE.body
    assert own.http.get("/image/read?id=7").content == ORIGINAL
    assert_problem(own.http.get("/images/7"), 503, "overloaded")
    assert_problem(own.http.get("/image/read?id=8"), 503, "overloaded")
    own.api.start()
    wait_until(lambda: from_api(own.http.get("/images/7")), what="the API is asked again")


def test_dead_redis_sends_all_to_the_api_and_recovers(own: Front) -> None:
    # While a slow disk syncs, Redis holds what was written back, for 2 s at most; this writes it out.
    own.raw.config_set("appendfsync", "always")
    own.raw.set("written", "out", ex=60)
    own.redis.kill()
    # By an URL that nginx has not in its memory.
    url = "/image/read?w=300&id=7"

    assert from_api(own.http.get(url))
    assert from_api(own.http.get(NAME))
    own.redis.start()
    wait_until(lambda: own.http.get(url).content == PICTURE.body, what="Redis is asked again")


def test_hung_redis_costs_one_request_200_ms(own: Front) -> None:
    own.redis.pause()

    first = own.http.get(URL)
    others = [own.http.get(URL) for _ in range(20)]

    assert from_api(first)
    assert all(from_api(answer) for answer in others)
    # 200 ms, and as much again for a busy machine; without the breaker it would be 4 s.
    assert sum(answer.elapsed.total_seconds() for answer in [first, *others]) < 0.6
    assert own.nginx.log.read_text().count("the cache is away") == 1
    own.redis.resume()
    wait_until(lambda: own.http.get(URL).content == PICTURE.body, what="Redis is asked again")


def test_redis_that_lost_its_scripts_is_told_again(always: Front) -> None:
    assert always.http.get(URL).content == PICTURE.body
    always.raw.script_flush()

    assert always.http.get(URL).content == PICTURE.body
    assert always.api.asked == []


def test_api_whose_address_is_gone_is_overloaded_and_not_slow(tmp_path: Path) -> None:
    with socket.socket() as full, contextlib.ExitStack() as stack:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        # Whoever else connects gets no answer at all, as from a container that was removed.
        for _ in range(2):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        with front(tmp_path, API=f"127.0.0.1:{full.getsockname()[1]}") as running:
            answer = running.http.get("/images/8")

    assert answer.status_code == 503
    assert answer.json()["type"] == "/problems/overloaded"
    assert answer.headers["Retry-After"] == "1"
    assert answer.elapsed.total_seconds() < 5


def test_slow_api_holds_up_nobody_else(own: Front) -> None:
    go = threading.Event()
    own.api.answers["/images/7"] = Says(wait=go)
    slow = threading.Thread(target=own.http.get, args=("/images/7",))
    slow.start()
    wait_until(lambda: len(own.api.asked) == 1, what="the slow one waits")

    assert own.http.get(URL).content == PICTURE.body
    assert from_api(own.http.get("/images/8"))
    go.set()
    slow.join()


def test_redis_with_password_and_database(tmp_path: Path) -> None:
    with redis_server(tmp_path / "locked") as locked:
        with redis.Redis(port=locked.port) as client:
            client.config_set("requirepass", "s/e@c ret")
        url = f"redis://:s%2Fe%40c%20ret@localhost:{locked.port}/3"

        with front(tmp_path, redis_url=url) as running:
            assert running.http.get(URL).headers["X-Cache"] == "redis"


def test_redis_by_unix_socket(tmp_path: Path) -> None:
    socket_path = tmp_path / "a b.sock"
    url = f"unix://{quote(str(socket_path))}?db=2"
    local = redis_server(tmp_path / "local", "--unixsocket", str(socket_path))

    with local, front(tmp_path, redis_url=url) as running:
        assert running.http.get(URL).headers["X-Cache"] == "redis"


def test_url_that_lua_cannot_speak_leaves_all_to_the_api(tmp_path: Path) -> None:
    with front(tmp_path, nginx_redis_url="rediss://127.0.0.1:1/0") as running:
        assert from_api(running.http.get(URL))
        assert running.nginx.log.read_text().count("REDIS_URL") == 1
