"""The render pool with real decoder processes: how it starts, and that it leaves nothing behind."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from imagestore import errors
from imagestore.children.process import GRACE_S
from imagestore.render import Renderer
from imagestore.rendition import Rendition
from imagestore.settings import Encoding, Limits
from tests.pictures import encode, texture
from tests.servers import ROOT, wait_until
from tests.unit.render.decoding import OTHER, Bench, alive, children, decoders, forkers


def test_close_ends_all_quickly_and_tells_those_who_wait(bench: Bench) -> None:
    renderer = bench.renderer()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(renderer.inspect, bench.picture("hang"))
        wait_until(lambda: len(decoders()) == 1, what="the decoder at work")
        pids = decoders()
        started = time.monotonic()

        renderer.close()

        took = time.monotonic() - started
        assert isinstance(waiting.exception(20), errors.Overloaded)
    assert took < GRACE_S
    assert not any(alive(pid) for pid in pids)
    assert list(bench.scratch.iterdir()) == []
    with pytest.raises(errors.Overloaded, match="shutting down"):
        renderer.inspect(bench.picture("nothing"))


SERVER = """
import signal, sys, threading
from pathlib import Path
from imagestore.render import Renderer
from imagestore.settings import Encoding, Limits
folder, command = Path(sys.argv[1]), sys.argv[2]
renderer = Renderer(engine="auto", processes=2, limits=Limits(render_timeout_s=60), encoding=Encoding(),
                    queue=4, queue_timeout_s=4, scratch=folder / "scratch", slots=folder / "slots",
                    engines={"auto": ("tests.unit.hostile_engine",)})
"""


@dataclass
class Script:
    """A process that has a renderer, as an API process has."""

    process: subprocess.Popen[str]

    def family(self) -> set[int]:
        found = forkers(self.process.pid)
        return found | {decoder for forker in found for decoder in children(forker)}


@pytest.fixture
def script(bench: Bench) -> Iterator[Callable[[str, str], Script]]:
    started: list[subprocess.Popen[str]] = []

    def start(body: str, command: str) -> Script:
        process = subprocess.Popen(
            [sys.executable, "-c", SERVER + body, str(bench.folder), str(bench.picture(command))],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        return Script(process)

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_kill_9_of_the_parent_leaves_no_process(script: Callable[[str, str], Script]) -> None:
    one = script("renderer.inspect(Path(command))", "hang")
    wait_until(lambda: len(one.family()) == 2, what="forker and decoder")
    family = one.family()

    one.process.kill()

    wait_until(lambda: not any(alive(pid) for pid in family), what="the end of all")


def test_ctrl_c_is_the_parents_business_alone(script: Callable[[str, str], Script]) -> None:
    body = """
renderer.inspect(Path(command))
try:
    print("ready", flush=True)
    signal.pause()
except KeyboardInterrupt:
    renderer.inspect(Path(command))
    print("still there", flush=True)
    renderer.close()
"""
    one = script(body, "nothing")
    assert one.process.stdout is not None
    assert one.process.stdout.readline() == "ready\n"
    family = one.family()

    for pid in family:
        os.kill(pid, signal.SIGINT)
    os.killpg(one.process.pid, signal.SIGINT)
    out, err = one.process.communicate(timeout=30)

    assert (out, err) == ("still there\n", "")
    wait_until(lambda: not any(alive(pid) for pid in family), what="the end of all")


def test_the_parent_never_imports_an_engine() -> None:
    code = "import sys, imagestore.render; print({'pyvips', 'wand', 'PIL', 'cffi'} & set(sys.modules))"

    out = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)

    assert out.stdout == "set()\n"


def test_check_says_in_one_line_what_is_wrong(bench: Bench) -> None:
    with pytest.raises(RuntimeError) as bad:
        bench.renderer(OTHER).check()
    with pytest.raises(RuntimeError) as missing:
        bench.renderer("tests.unit.no_such_engine").check()

    prefix = "the image engines are not usable: "
    assert str(bad.value) == (
        prefix + "a decoder failed: RuntimeError: the coder SVG is allowed, expected it to be refused"
    )
    assert str(missing.value) == (
        prefix + "a decoder failed: ModuleNotFoundError: No module named 'tests.unit.no_such_engine'"
    )


@pytest.mark.parametrize("engine", ["auto", "wand"])
def test_the_real_engines_pass_the_check_and_render(bench: Bench, engine: str) -> None:
    renderer = Renderer(
        engine=engine,
        processes=1,
        limits=Limits(),
        encoding=Encoding(),
        queue=1,
        queue_timeout_s=5,
        scratch=bench.scratch,
        slots=bench.folder / "slots",
    )
    bench.made.append(renderer)
    sample = encode(texture(80, 60), "jpeg")
    source = sample.put(bench.folder)

    renderer.check()
    facts, inspection = renderer.inspect(source)
    made = renderer.render(source, facts, Rendition(width=40), None)

    assert facts == sample.facts
    assert "colorspace" in inspection.seen
    assert (made.content_type, made.body[:3]) == ("image/jpeg", b"\xff\xd8\xff")
