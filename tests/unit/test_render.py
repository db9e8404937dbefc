"""The render pool, with real decoder processes and engines that misbehave in every way known."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY

from imagestore import errors
from imagestore.engines import Wish
from imagestore.records import Facts
from imagestore.render import Renderer
from imagestore.rendition import Rendition
from imagestore.settings import MIB, Encoding, Limits
from tests.pictures import encode, texture
from tests.servers import ROOT, wait_until
from tests.unit.hostile_engine import BIG, picture

HOSTILE, OTHER = "tests.unit.hostile_engine", "tests.unit.other_engine"
FACTS = Facts("png", 4, 4)
WISH = Rendition(width=2)
LIMITS = Limits(render_timeout_s=20, render_memory_bytes=256 * MIB)


@dataclass
class Bench:
    """Makes renderers in one folder, pictures for them, and ends all."""

    folder: Path
    made: list[Renderer] = field(default_factory=list)

    @property
    def scratch(self) -> Path:
        return self.folder / "scratch"

    def renderer(self, *engines: str, **settings: Any) -> Renderer:
        options: dict[str, Any] = {
            "processes": 2,
            "limits": LIMITS,
            "encoding": Encoding(),
            "queue": 16,
            "queue_timeout_s": 20,
            "scratch": self.scratch,
            "slots": self.folder / "slots",
            "engines": {"auto": engines or (HOSTILE,)},
        }
        renderer = Renderer(engine="auto", **{**options, **settings})
        self.made.append(renderer)
        return renderer

    def picture(self, command: str) -> Path:
        return picture(self.folder, command)

    def files(self) -> list[Path]:
        """All that decoders have left, their folders not counted."""
        # Unlike rglob, walk does not mind a folder that goes in the meantime.
        found = [(Path(folder), folders, files) for folder, folders, files in os.walk(self.scratch)]
        links = [
            folder / name for folder, folders, _ in found for name in folders if (folder / name).is_symlink()
        ]
        return links + [folder / name for folder, _, files in found for name in files]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    for renderer in bench.made:
        renderer.close()


def counted(name: str) -> float:
    """The sum over all labels of a metric of ours."""
    samples = [sample for metric in REGISTRY.collect() for sample in metric.samples]
    names = {f"imagestore_{name}", f"imagestore_{name}_total"}
    return sum(sample.value for sample in samples if sample.name in names)


def children(pid: int) -> set[int]:
    """Processes whose parent is `pid`, from /proc."""
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid and fields[0] != "Z":
            found.add(int(stat.parent.name))
    return found


def is_forker(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return b"multiprocessing.forkserver" in Path(f"/proc/{pid}/cmdline").read_bytes()
    return False


def forkers(pid: int | None = None) -> set[int]:
    return {child for child in children(pid or os.getpid()) if is_forker(child)}


def decoders() -> set[int]:
    return {decoder for forker in forkers() for decoder in children(forker)}


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


# What comes back.


def test_inspect_gives_the_facts_of_the_bytes_and_the_engines_extras(bench: Bench) -> None:
    facts, seen = bench.renderer().inspect(bench.picture("nothing"))

    assert facts == FACTS
    assert set(seen) == {"pid"}
    assert seen["pid"] in decoders()


def test_render_gives_every_byte_of_the_picture(bench: Bench) -> None:
    made = bench.renderer().render(bench.picture("nothing"), FACTS, WISH, None)

    assert (made.content_type, made.body) == ("image/png", BIG)


def test_pictures_are_made_together_by_one_task_and_counted_one_by_one(bench: Bench) -> None:
    before = [counted(name) for name in ("renders", "decodes", "render_seconds_count")]

    made = bench.renderer().render_all(bench.picture("nothing"), FACTS, [Wish(WISH)] * 5)

    assert [getattr(each, "body", None) for each in made] == [BIG] * 5
    after = [counted(name) for name in ("renders", "decodes", "render_seconds_count")]
    assert [now - then for now, then in zip(after, before, strict=True)] == [5, 1, 1]


@pytest.mark.parametrize("command", ["die-together", "hang-together"])
def test_what_cannot_be_made_together_is_made_alone(bench: Bench, command: str) -> None:
    renderer = bench.renderer(limits=Limits(render_timeout_s=3, render_memory_bytes=256 * MIB))

    made = renderer.render_all(bench.picture(command), FACTS, [Wish(WISH)] * 3)

    assert [getattr(each, "body", None) for each in made] == [BIG] * 3


def test_of_several_pictures_each_has_its_own_error(bench: Bench) -> None:
    made = bench.renderer().render_all(bench.picture("invalid no pixels"), FACTS, [Wish(WISH)] * 2)

    assert [(type(each), str(each)) for each in made] == [(errors.ImageInvalid, "no pixels")] * 2


def test_errors_of_the_decoder_come_through_unharmed(bench: Bench) -> None:
    renderer = bench.renderer()
    (bench.folder / "text").write_bytes(b"hello")

    with pytest.raises(errors.InvalidParameter) as refused:
        renderer.render(bench.picture("refuse crop is 'ü', expected less"), FACTS, WISH, None)
    with pytest.raises(errors.ImageInvalid, match=r"^no pixels$"):
        renderer.inspect(bench.picture("invalid no pixels"))
    with pytest.raises(errors.UnsupportedMediaType):
        renderer.inspect(bench.folder / "text")

    assert (refused.value.parameter, refused.value.detail) == ("crop", "crop is 'ü', expected less")


def test_a_bug_of_an_engine_is_no_fault_of_the_picture(bench: Bench) -> None:
    with pytest.raises(RuntimeError, match=r"(?s)hostile failed: KeyError: .here.*Traceback"):
        bench.renderer().inspect(bench.picture("bug here"))


def test_the_first_engine_that_reads_the_format_gets_it(bench: Bench) -> None:
    renderer = bench.renderer(HOSTILE, OTHER)
    gif = encode(texture(8, 8), "gif").put(bench.folder)
    jpeg = encode(texture(8, 8), "jpeg").put(bench.folder)

    assert "pid" in renderer.inspect(bench.picture("nothing"))[1]
    assert renderer.inspect(gif)[1] == {"by": "other"}
    with pytest.raises(errors.UnsupportedMediaType, match="'jpeg'"):
        renderer.inspect(jpeg)


# Decoders that end, hang or take too much.


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


@pytest.mark.parametrize("command", ["hang", "spin"])
def test_a_decoder_that_takes_too_long_is_killed(bench: Bench, command: str) -> None:
    renderer = bench.renderer(limits=Limits(render_timeout_s=0.5))
    renderer.inspect(bench.picture("nothing"))
    before = decoders()
    started = time.monotonic()

    with pytest.raises(errors.ImageTooComplex, match=r"0\.5 s"):
        renderer.inspect(bench.picture(command))
    took = time.monotonic() - started
    with pytest.raises(errors.ProcessingTimeout, match=r"0\.5 s"):
        renderer.render(bench.picture(command), FACTS, WISH, None)

    assert 0.5 <= took < 1.5
    assert not any(alive(pid) for pid in before)
    assert renderer.inspect(bench.picture("nothing"))[0] == FACTS


def test_others_are_served_while_one_decoder_hangs(bench: Bench) -> None:
    renderer = bench.renderer(limits=Limits(render_timeout_s=2))
    with ThreadPoolExecutor(1) as pool:
        hanging = pool.submit(renderer.inspect, bench.picture("hang"))
        wait_until(lambda: len(decoders()) == 1, what="the decoder that hangs")

        served = [renderer.inspect(bench.picture("nothing"))[0] for _ in range(20)]

        assert served == [FACTS] * 20
        assert not hanging.done()
        assert isinstance(hanging.exception(10), errors.ImageTooComplex)


def test_an_idle_decoder_that_was_killed_is_replaced_without_a_word(bench: Bench) -> None:
    renderer = bench.renderer()
    for _ in range(5):
        pid = renderer.inspect(bench.picture("nothing"))[1]["pid"]

        os.kill(pid, signal.SIGKILL)

        assert renderer.inspect(bench.picture("nothing"))[1]["pid"] != pid


def test_a_picture_whose_decoder_was_killed_by_somebody_is_tried_once_more(bench: Bench) -> None:
    renderer = bench.renderer()
    marker = bench.folder / "marker"

    marker.touch()
    facts, _ = renderer.inspect(bench.picture(f"kill-once {marker}"))
    marker.touch()
    rendered = renderer.render(bench.picture(f"kill-once {marker}"), FACTS, WISH, None)

    assert not marker.exists()
    assert facts == FACTS
    assert rendered.body == BIG


def test_a_forker_that_was_killed_takes_its_decoders_along_and_is_replaced(bench: Bench) -> None:
    renderer = bench.renderer()
    pid = renderer.inspect(bench.picture("nothing"))[1]["pid"]
    (forker,) = forkers()

    os.kill(forker, signal.SIGKILL)

    wait_until(lambda: not alive(pid), what="the end of the decoder")
    assert renderer.inspect(bench.picture("nothing"))[0] == FACTS
    assert forkers() != {forker}


def test_killed_at_any_moment_never_a_deadlock_nor_a_wrong_answer(bench: Bench) -> None:
    renderer = bench.renderer(max_tasks=20, limits=Limits(render_timeout_s=1))
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


# What a decoder may use.


def test_limits_hold_in_the_decoder(bench: Bench) -> None:
    _, seen = bench.renderer(limits=Limits(render_memory_bytes=512 * MIB, render_timeout_s=3)).inspect(
        bench.picture("limits")
    )

    # Its own size counts from the start; it may have grown by a few MiB since.
    assert 0 <= seen["size"] - (seen["RLIMIT_AS"] - 512 * MIB) < 32 * MIB
    assert seen["RLIMIT_FSIZE"] == 512 * MIB
    assert seen["RLIMIT_CORE"] == 0
    assert 7 <= seen["RLIMIT_CPU"] <= 9


def test_no_variable_of_ours_reaches_a_decoder(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("API_KEY", "DATABASE_URL", "REDIS_URL", "STORAGE_URL", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "hush-hush")

    _, seen = bench.renderer().inspect(bench.picture("environment"))

    assert "hush-hush" not in str(seen)
    assert {"VIPS_CONCURRENCY=1", "MAGICK_THREAD_LIMIT=1", "OMP_NUM_THREADS=1"} <= set(seen["environ"])
    assert "MALLOC_ARENA_MAX=2" in seen["environ"]
    assert seen["dict"]["MAGICK_CONFIGURE_PATH"] == str(ROOT / "imagestore" / "engines" / "policy")
    (forker,) = forkers()
    assert b"hush-hush" not in Path(f"/proc/{forker}/environ").read_bytes()


def test_temporary_files_are_in_a_folder_of_its_own_and_go_after_each_task(bench: Bench) -> None:
    renderer = bench.renderer()

    _, first = renderer.inspect(bench.picture("litter"))
    left = bench.files()
    _, second = renderer.inspect(bench.picture("litter"))

    assert left == []
    assert Path(first["folder"]).is_relative_to(bench.scratch)
    assert first["seen_by_c"] == [first["folder"]] * 2
    assert first["cwd"] == first["folder"] == second["folder"]


def test_temporary_files_of_a_killed_decoder_go_too(bench: Bench) -> None:
    renderer = bench.renderer(limits=Limits(render_timeout_s=0.5))

    with pytest.raises(errors.ImageTooComplex):
        renderer.inspect(bench.picture("litter-and-hang"))

    # By the one who takes the killed decoder's place.
    wait_until(lambda: bench.files() == [], what="the end of the files", timeout_s=5)


def test_left_overs_of_dead_processes_go_at_the_start_and_of_living_ones_stay(bench: Bench) -> None:
    living = bench.renderer()
    folder = Path(living.inspect(bench.picture("litter"))[1]["folder"])
    dead = bench.scratch / "tmpdead" / "3"
    dead.mkdir(parents=True)
    (dead / "magick-1").write_bytes(b"x")

    bench.renderer().inspect(bench.picture("nothing"))

    assert not dead.parent.exists()
    assert folder.is_dir()
    assert living.inspect(bench.picture("nothing"))[0] == FACTS


def test_a_decoder_is_renewed_after_its_number_of_tasks(bench: Bench) -> None:
    renderer = bench.renderer(max_tasks=3)

    pids = [renderer.inspect(bench.picture("nothing"))[1]["pid"] for _ in range(7)]

    assert pids[0] == pids[1] == pids[2] != pids[3] == pids[4] == pids[5] != pids[6]
    wait_until(lambda: decoders() == {pids[6]}, what="the end of the used ones")


# How many at once.


def test_never_more_at_once_than_processes_over_all_that_share_the_slots(bench: Bench) -> None:
    renderers = [bench.renderer(processes=1) for _ in range(2)]
    source = bench.picture("span 0.02")
    with ThreadPoolExecutor(6) as pool:
        spans = list(pool.map(lambda number: renderers[number % 2].inspect(source)[1], range(12)))

    spans.sort(key=lambda span: span["begin"])
    assert all(earlier["end"] <= later["begin"] for earlier, later in pairwise(spans))


def test_more_than_the_queue_are_refused_as_overloaded(bench: Bench) -> None:
    renderer = bench.renderer(processes=1, queue=1, queue_timeout_s=0.4)
    with ThreadPoolExecutor(3) as pool:
        running = pool.submit(renderer.inspect, bench.picture("span 1.5"))
        wait_until(lambda: len(decoders()) == 1, what="the first at work")
        answers = [pool.submit(renderer.inspect, bench.picture("nothing")) for _ in range(2)]

        refusals = [answer.exception(5) for answer in answers]

        assert not running.done()
        assert [type(refusal) for refusal in refusals] == [errors.Overloaded] * 2
        assert {str(refusal).split(",")[0] for refusal in refusals} == {
            "1 pictures wait for a free processor already",
            "no processor came free within 0.4 s",
        }
        assert running.result(5)[0] == FACTS


# The end.


def test_close_ends_all_quickly_and_tells_those_who_wait(bench: Bench) -> None:
    renderer = bench.renderer()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(renderer.inspect, bench.picture("hang"))
        wait_until(lambda: len(decoders()) == 1, what="the decoder at work")
        pids = decoders()
        started = time.monotonic()

        renderer.close()

        took = time.monotonic() - started
        assert isinstance(waiting.exception(5), errors.Overloaded)
    assert took < 1
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

    wait_until(lambda: not any(alive(pid) for pid in family), what="the end of all", timeout_s=3)


def test_ctrl_c_is_the_parents_business_alone(script: Callable[[str, str], Script]) -> None:
    body = """
renderer.inspect(Path(command))
print("ready", flush=True)
try:
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
    out, err = one.process.communicate(timeout=10)

    assert (out, err) == ("still there\n", "")
    wait_until(lambda: not any(alive(pid) for pid in family), what="the end of all", timeout_s=3)


def test_the_parent_never_imports_an_engine() -> None:
    code = "import sys, imagestore.render; print({'pyvips', 'wand', 'PIL', 'cffi'} & set(sys.modules))"

    out = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)

    assert out.stdout == "set()\n"


# The start.


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
    facts, seen = renderer.inspect(source)
    made = renderer.render(source, facts, Rendition(width=40), None)

    assert facts == sample.facts
    assert "colorspace" in seen
    assert (made.content_type, made.body[:3]) == ("image/jpeg", b"\xff\xd8\xff")


# Numbers for operators.


def test_every_task_is_counted_by_its_outcome(bench: Bench) -> None:
    renderer = bench.renderer()

    def count(engine: str, format: str, outcome: str) -> float:
        labels = {"engine": engine, "format": format, "task": "render", "outcome": outcome}
        return REGISTRY.get_sample_value("imagestore_renders_total", labels) or 0

    cases = [
        ("hostile", "png", "ok"),
        ("unknown", "png", "image-invalid"),
        ("hostile", "png", "image-invalid"),
    ]
    before = [count(*case) for case in cases]

    renderer.render(bench.picture("nothing"), FACTS, WISH, None)
    for command in ("abort", "invalid x"):
        with pytest.raises(errors.ImageInvalid):
            renderer.render(bench.picture(command), FACTS, WISH, None)

    assert [count(*case) for case in cases] == [number + 1 for number in before]


def test_the_counters_add_up_over_processes(tmp_path: Path) -> None:
    code = "from imagestore.metrics import count_render\n"
    code += (
        "count_render(engine='vips', format='png', task='render', outcomes=['ok'], decodes=1, seconds=0.2)"
    )
    env = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    for _ in range(2):
        subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=env, check=True)
    show = "from prometheus_client import CollectorRegistry, generate_latest, multiprocess as m\n"
    show += "r = CollectorRegistry(); m.MultiProcessCollector(r); print(generate_latest(r).decode())"

    out = subprocess.run(
        [sys.executable, "-c", show], cwd=ROOT, env=env, check=True, capture_output=True, text=True
    )

    assert 'imagestore_renders_total{engine="vips",format="png",outcome="ok",task="render"} 2.0' in out.stdout
    assert 'imagestore_render_seconds_count{engine="vips",format="png",task="render"} 2.0' in out.stdout
