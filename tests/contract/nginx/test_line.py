"""The line before the API: how many pictures nginx lets it make at once, and what becomes of the others."""

import re
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.fakeapi import Says, fake_api
from tests.front import ORIGINAL, ORIGINAL_ETAG, PICTURE, PICTURE_ETAG, RECIPE, SHA, Front, front
from tests.frontanswers import URL, assert_problem, from_api
from tests.servers import wait_until

PLACES = 2


@pytest.fixture
def narrow(tmp_path: Path) -> Iterator[Front]:
    """A front that asks the API for two pictures at once."""
    with front(tmp_path, RENDER_PLACES=str(PLACES), RECORD_MEMORY_S="0") as running:
        yield running


def url(width: int) -> str:
    """Of a picture that nobody has made."""
    return f"/image/read?id=7&w={width}"


def asked(running: Front, start: str = "/image/read") -> int:
    return sum(each.path.startswith(start) for each in list(running.api.asked))


def take_places(running: Front, clients: ThreadPoolExecutor) -> list[Future[httpx.Response]]:
    """Two clients whose pictures the API is asked for now."""
    held = [clients.submit(running.http.get, url(width)) for width in (1, 2)]
    wait_until(lambda: asked(running) == PLACES, what="both places are taken")
    return held


def test_the_api_is_asked_for_a_few_at_once_and_for_all_in_the_end(narrow: Front) -> None:
    gates = {width: threading.Event() for width in range(1, 9)}
    for width, gate in gates.items():
        narrow.api.answers[url(width)] = Says(wait=gate)

    with ThreadPoolExecutor(8) as clients:
        answers = [clients.submit(narrow.http.get, url(width)) for width in gates]
        wait_until(lambda: asked(narrow) == PLACES, what="both places are taken")
        time.sleep(0.3)
        most = asked(narrow)
        others = narrow.http.get("/images/7"), narrow.http.get("/image/read?id=8"), narrow.http.get(URL)
        for gate in gates.values():
            gate.set()

        assert all(from_api(each.result()) for each in answers)
    assert most == PLACES
    # Nothing that is no rendition waits behind one, and nothing that is there.
    assert [each.status_code for each in others] == [200, 200, 200]
    assert asked(narrow) == 8 + 1


def test_by_default_there_are_eight_places_for_each_process_of_nginx(own: Front) -> None:
    go = threading.Event()
    own.api.answers = {url(width): Says(wait=go) for width in range(1, 21)}

    with ThreadPoolExecutor(20) as clients:
        answers = [clients.submit(own.http.get, each) for each in list(own.api.answers)]
        wait_until(lambda: asked(own) == 16, what="all places are taken")
        time.sleep(0.3)
        most = asked(own)
        go.set()

        assert all(from_api(each.result()) for each in answers)
    assert most == 16


def counted(running: Front) -> tuple[int, int]:
    """How many wait and how many were refused, as the page of the counters has it."""
    page = running.http.get("/metrics").text
    numbers = dict(re.findall(r"^imagestore_nginx_(waiting|refused_total) (\d+)$", page, re.MULTILINE))
    return int(numbers["waiting"]), int(numbers["refused_total"])


def wait_for_a_line(running: Front, waiting: int) -> None:
    wait_until(lambda: counted(running)[0] == waiting, what=f"{waiting} wait", timeout_s=4)


def test_who_has_waited_for_long_in_a_line_that_moves_is_refused_by_nginx(tmp_path: Path) -> None:
    gates = {width: threading.Event() for width in range(1, 4)}
    with front(tmp_path, RENDER_PLACES=str(PLACES), WORKERS="1") as narrow, ThreadPoolExecutor(5) as clients:
        narrow.api.answers = {url(width): Says(wait=gate) for width, gate in gates.items()}
        held = take_places(narrow, clients)
        held.append(clients.submit(narrow.http.get, url(3)))
        wait_for_a_line(narrow, 1)
        began = time.monotonic()
        refused = [clients.submit(narrow.http.get, url(width)) for width in (4, 5)]
        wait_for_a_line(narrow, 3)
        gates[1].set()
        for each in refused:
            assert_problem(each.result(), 503, "overloaded")
        took = time.monotonic() - began
        for gate in gates.values():
            gate.set()

        assert all(from_api(each.result()) for each in held)
        assert 2 < took < 4
        assert asked(narrow) == 3
        # Places and line are as before.
        assert from_api(narrow.http.get(url(6)))


def test_who_waits_while_nothing_moves_gets_his_turn_when_it_does(narrow: Front) -> None:
    go = threading.Event()
    for width in (1, 2):
        narrow.api.answers[url(width)] = Says(wait=go)

    with ThreadPoolExecutor(6) as clients:
        answers = take_places(narrow, clients)
        answers += [clients.submit(narrow.http.get, url(width)) for width in range(3, 7)]
        # Longer than who waits for a processor waits here.
        time.sleep(3)
        go.set()

        assert all(from_api(each.result()) for each in answers)


def test_who_waits_for_a_store_that_hangs_hears_of_it_from_the_first_who_asked(narrow: Front) -> None:
    go = threading.Event()
    says = Says(503, {"X-Problem": "storage-unavailable", "Retry-After": "1"}, wait=go)
    for width in (1, 2):
        narrow.api.answers[url(width)] = says

    with ThreadPoolExecutor(6) as clients:
        first = take_places(narrow, clients)
        others = [clients.submit(narrow.http.get, url(width)) for width in range(3, 7)]
        # Nearly the time that a store has.
        time.sleep(3)
        go.set()

        for each in first:
            assert from_api(each.result())
            assert "X-Problem" not in each.result().headers
        for each in others:
            assert_problem(each.result(), 503, "storage-unavailable")
    assert asked(narrow) == PLACES
    # A place is free again, and after a moment so is the way.
    assert from_api(narrow.http.get(url(8)))


def test_a_standstill_that_lasts_is_refused_within_five_seconds(narrow: Front) -> None:
    go = threading.Event()
    for width in (1, 2):
        narrow.api.answers[url(width)] = Says(wait=go)

    with ThreadPoolExecutor(4) as clients:
        held = take_places(narrow, clients)
        refused = [clients.submit(narrow.http.get, url(width)) for width in (3, 4)]
        for each in refused:
            assert_problem(each.result(), 503, "overloaded")
            assert 4 < each.result().elapsed.total_seconds() < 5
        go.set()

        assert all(from_api(each.result()) for each in held)
    assert asked(narrow) == PLACES


def test_an_api_that_hangs_with_a_picture_is_given_up_with_a_word_when_to_ask_again(tmp_path: Path) -> None:
    go = threading.Event()
    with front(tmp_path, RENDER_WAIT_S="1") as running:
        running.api.answers[url(1)] = Says(wait=go)

        answer = running.http.get(url(1))
        go.set()

        assert_problem(answer, 503, "overloaded")
        assert answer.headers["Retry-After"] == "1"


def test_who_leaves_while_he_waits_gives_up_his_turn(narrow: Front) -> None:
    go = threading.Event()
    for width in (1, 2):
        narrow.api.answers[url(width)] = Says(wait=go)

    with ThreadPoolExecutor(3) as clients:
        held = take_places(narrow, clients)
        for width in (3, 4, 5, 6):
            with pytest.raises(httpx.ReadTimeout):
                narrow.http.get(url(width), timeout=0.1)
        stays = clients.submit(narrow.http.get, url(7))
        wait_for_a_line(narrow, 1)
        go.set()

        assert all(from_api(each.result()) for each in (*held, stays))
    assert [each.path for each in narrow.api.asked if each.path.startswith("/image/read")][2:] == [url(7)]
    assert counted(narrow)[1] == 0


def test_the_metrics_tell_who_waits_and_who_was_refused(narrow: Front) -> None:
    go = threading.Event()
    for width in (1, 2):
        narrow.api.answers[url(width)] = Says(wait=go)
    assert counted(narrow) == (0, 0)

    with ThreadPoolExecutor(5) as clients:
        held = take_places(narrow, clients)
        late = [clients.submit(narrow.http.get, url(width)) for width in (3, 4, 5)]
        wait_for_a_line(narrow, 3)
        assert counted(narrow) == (3, 0)
        assert [each.result().status_code for each in late] == [503, 503, 503]
        wait_until(lambda: counted(narrow) == (0, 3), what="three were refused")
        go.set()

        assert all(from_api(each.result()) for each in held)


def test_a_crowd_at_one_new_picture_is_one_question_or_two(narrow: Front) -> None:
    go = threading.Event()
    narrow.api.answers[url(77)] = Says(wait=go)

    with ThreadPoolExecutor(40) as clients:
        answers = [clients.submit(narrow.http.get, url(77)) for _ in range(40)]
        wait_until(lambda: asked(narrow) == PLACES, what="both places are taken")
        time.sleep(0.5)
        narrow.cache.keep(SHA, f"width=77@{RECIPE}", PICTURE_ETAG, PICTURE)
        narrow.cache.teach("w=77", f"width=77@{RECIPE}", None, RECIPE)
        go.set()
        bodies = [each.result().content for each in answers]

    assert asked(narrow) == PLACES
    assert bodies.count(PICTURE.body) == 40 - PLACES


@pytest.mark.parametrize("status", [404, 503])
def test_a_place_is_free_after_any_answer(narrow: Front, status: int) -> None:
    narrow.api.answers[url(1)] = Says(status=status)
    narrow.api.answers[url(2)] = Says(headers={"X-Accel-Redirect": "/_problem/signature-invalid"})

    for _ in range(3):
        assert narrow.http.get(url(1)).status_code == status
        assert narrow.http.get(url(2)).status_code == 403

    began = time.monotonic()
    assert from_api(narrow.http.get(url(3)))
    assert time.monotonic() - began < 2


@pytest.mark.parametrize("location", [f"/_original/{SHA[:2]}/{SHA[2:4]}/{SHA}", "/_remote/"])
def test_a_place_is_free_when_nginx_sends_an_original(narrow: Front, location: str) -> None:
    with fake_api() as store:
        store.answers["/bucket/7"] = Says(body=ORIGINAL)
        to_nginx = {"X-Accel-Redirect": location, "X-Original-Url": f"http://{store.address}/bucket/7"}
        narrow.api.answers[url(1)] = Says(headers={**to_nginx, "ETag": ORIGINAL_ETAG}, body=b"")

        answers = [narrow.http.get(url(1)) for _ in range(PLACES + 1)]

    assert asked(narrow) == PLACES + 1
    assert [answer.content for answer in answers] == [ORIGINAL] * (PLACES + 1)


def test_a_place_is_free_when_its_client_is_gone_or_the_api(narrow: Front) -> None:
    go = threading.Event()
    narrow.api.answers[url(1)] = Says(wait=go)
    for _ in range(3):
        with pytest.raises(httpx.ReadTimeout):
            narrow.http.get(url(1), timeout=0.2)
    began = time.monotonic()
    assert from_api(narrow.http.get(url(2)))
    assert time.monotonic() - began < 2
    go.set()

    narrow.api.stop()
    for _ in range(3):
        assert_problem(narrow.http.get(url(3)), 503, "overloaded")
    narrow.api.start()
    assert from_api(narrow.http.get(url(4)))


def test_the_api_is_told_how_long_one_has_waited_and_by_nobody_else(narrow: Front) -> None:
    go = threading.Event()
    for width in (1, 2):
        narrow.api.answers[url(width)] = Says(wait=go)
    with ThreadPoolExecutor(3) as clients:
        held = take_places(narrow, clients)
        began = time.monotonic()
        late = clients.submit(narrow.http.get, url(3), headers={"X-Waited": "9"})
        wait_for_a_line(narrow, 1)
        time.sleep(1)
        go.set()
        for each in (*held, late):
            each.result()
        took = time.monotonic() - began
    narrow.http.get("/images/7", headers={"X-Waited": "9"})

    said = {each.path: each.headers.get("x-waited") for each in narrow.api.asked}
    assert (said[url(1)], said[url(2)], said["/images/7"]) == (None, None, None)
    # Of what nginx remembers as the time of its last event, some milliseconds may have passed.
    assert 0.9 < float(said[url(3)] or "nan") < took
