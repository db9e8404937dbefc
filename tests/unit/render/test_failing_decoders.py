"""The render pool with engines that misbehave in every way known: decoders that end, hang or take all."""

import contextlib
import os
import random
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from imagestore import errors
from imagestore.render import Renderer
from imagestore.settings import Limits
from tests.servers import wait_until
from tests.unit.hostile_engine import BIG
from tests.unit.render.decoding import FACTS, LIMITS, WISH, Bench, alive, decoders, forkers


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("abort", errors.ImageInvalid),
        ("segv", errors.ImageInvalid),
        ("exit 1", errors.ImageTooComplex),
        ("system-exit", errors.ImageTooComplex),
        ("kill-self", errors.ImageTooComplex),
        ("eat", errors.ImageTooComplex),
    ],
)
def test_a_decoder_that_ends_costs_one_picture_and_no_more(
    bench: Bench, command: str, expected: type[Exception]
) -> None:
    renderer = bench.renderer()

    with pytest.raises(expected):
        renderer.inspect(bench.picture(command))
    with pytest.raises(expected):
        renderer.render(bench.picture(command), FACTS, WISH, None)

    assert renderer.inspect(bench.picture("nothing"))[0] == FACTS
    assert bench.files() == []


def wait_until_served(bench: Bench, renderer: Renderer) -> None:
    """With half a second for a picture, a busy machine may be too late for one that needs nothing."""

    def served() -> bool:
        try:
            return renderer.inspect(bench.picture("nothing"))[0] == FACTS
        except errors.ImageTooComplex:
            return False

    wait_until(served, what="a picture that needs no time")


@pytest.mark.parametrize("command", ["hang", "spin", "stop"])
def test_a_decoder_that_takes_too_long_is_killed(bench: Bench, command: str) -> None:
    renderer = bench.renderer(limits=Limits(render_timeout_s=0.5))
    wait_until_served(bench, renderer)
    before = decoders()
    started = time.monotonic()

    with pytest.raises(errors.ImageTooComplex, match=r"0\.5 s"):
        renderer.inspect(bench.picture(command))
    took = time.monotonic() - started
    with pytest.raises(errors.ProcessingTimeout, match=r"0\.5 s"):
        renderer.render(bench.picture(command), FACTS, WISH, None)

    assert 0.5 <= took < 10
    assert not any(alive(pid) for pid in before)
    wait_until_served(bench, renderer)


def test_a_decoder_that_stops_in_the_middle_of_its_answer_is_killed(bench: Bench) -> None:
    renderer = bench.renderer()
    before = renderer.inspect(bench.picture("nothing"))[1].seen["pid"]
    started = time.monotonic()

    with pytest.raises(errors.ProcessingTimeout):
        renderer.render(bench.picture("half-an-answer"), FACTS, WISH, None)

    assert time.monotonic() - started < LIMITS.render_timeout_s
    assert not alive(before)
    assert renderer.inspect(bench.picture("nothing"))[0] == FACTS


def test_others_are_served_while_one_decoder_hangs(bench: Bench) -> None:
    renderer = bench.renderer()
    with ThreadPoolExecutor(1) as pool:
        hanging = pool.submit(renderer.inspect, bench.picture("hang"))
        wait_until(lambda: len(decoders()) == 1, what="the decoder that hangs")

        served = [renderer.inspect(bench.picture("nothing"))[0] for _ in range(20)]

        assert served == [FACTS] * 20
        assert not hanging.done()
        renderer.close()
        assert isinstance(hanging.exception(10), errors.Overloaded)


def test_an_idle_decoder_that_was_killed_is_replaced_without_a_word(bench: Bench) -> None:
    renderer = bench.renderer()
    for _ in range(5):
        pid = renderer.inspect(bench.picture("nothing"))[1].seen["pid"]

        os.kill(pid, signal.SIGKILL)

        assert renderer.inspect(bench.picture("nothing"))[1].seen["pid"] != pid


def test_a_picture_whose_decoders_were_killed_by_somebody_is_tried_again(bench: Bench) -> None:
    renderer = bench.renderer()
    marker = bench.folder / "marker"

    marker.write_text("3")
    facts, _ = renderer.inspect(bench.picture(f"kill-times {marker}"))
    marker.write_text("3")
    rendered = renderer.render(bench.picture(f"kill-times {marker}"), FACTS, WISH, None)

    assert marker.read_text() == "0"
    assert facts == FACTS
    assert rendered.body == BIG


def test_decoders_that_are_killed_at_their_start_cost_no_wait(bench: Bench) -> None:
    renderer = bench.renderer()
    with ThreadPoolExecutor(1) as pool:
        for _ in range(5):
            renderer.close()
            renderer = bench.renderer()
            asked = pool.submit(renderer.inspect, bench.picture("nothing"))
            wait_until(lambda: bool(decoders()), what="a decoder that starts", every_s=0.001)

            for pid in decoders():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

            assert asked.result(20)[0] == FACTS


def test_a_forker_that_was_killed_takes_its_decoders_along_and_is_replaced(bench: Bench) -> None:
    renderer = bench.renderer()
    pid = renderer.inspect(bench.picture("nothing"))[1].seen["pid"]
    (forker,) = forkers()

    os.kill(forker, signal.SIGKILL)

    wait_until(lambda: not alive(pid), what="the end of the decoder")
    assert renderer.inspect(bench.picture("nothing"))[0] == FACTS
    assert forkers() != {forker}


def test_killed_at_any_moment_never_a_deadlock_nor_a_wrong_answer(bench: Bench) -> None:
    renderer = bench.renderer(max_tasks=20, limits=Limits(render_timeout_s=5))
    source, stop = bench.picture("nothing"), threading.Event()
    outcomes: list[str] = []
    chance = random.Random(5)

    def work() -> None:
        while not stop.is_set():
            try:
                made = renderer.render(source, FACTS, WISH, None)
                outcomes.append("ok" if made.body == BIG else "wrong")
            except errors.ImageTooComplex:
                outcomes.append("killed")
            except (errors.ProcessingTimeout, errors.Overloaded):
                outcomes.append("late")

    with ThreadPoolExecutor(3) as pool:
        workers = [pool.submit(work) for _ in range(3)]
        try:
            for round_number in range(50):
                wait_until(lambda: bool(decoders()), what="decoders to kill")
                time.sleep(chance.random() * 0.03)
                victims = forkers() if round_number % 10 == 9 else decoders()
                for pid in sorted(victims)[: 1 + round_number % 2]:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
            enough = len(outcomes) + 20
            wait_until(
                lambda: len(outcomes) >= enough or any(worker.done() for worker in workers),
                what="work after the last kill",
            )
        finally:
            stop.set()
        for worker in workers:
            worker.result(60)

    assert "wrong" not in outcomes
    assert outcomes.count("killed") + outcomes.count("late") <= 50
    assert outcomes.count("ok") >= 20
