"""The render pool with real decoder processes: what comes back, and what is counted."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from imagestore import errors
from imagestore.engines import Wish
from imagestore.settings import MIB, Limits
from tests.pictures import encode, texture
from tests.servers import ROOT
from tests.unit.hostile_engine import BIG
from tests.unit.render.decoding import FACTS, HOSTILE, OTHER, WISH, Bench, decoders


def counted(name: str) -> float:
    """The sum over all labels of a metric of ours."""
    samples = [sample for metric in REGISTRY.collect() for sample in metric.samples]
    names = {f"imagestore_{name}", f"imagestore_{name}_total"}
    return sum(sample.value for sample in samples if sample.name in names)


def test_inspect_gives_the_facts_of_the_bytes_and_the_engines_extras(bench: Bench) -> None:
    facts, inspection = bench.renderer().inspect(bench.picture("nothing"))

    assert facts == FACTS
    assert set(inspection.seen) == {"pid"}
    assert inspection.seen["pid"] in decoders()


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

    assert "pid" in renderer.inspect(bench.picture("nothing"))[1].seen
    assert renderer.inspect(gif)[1].seen == {"by": "other"}
    with pytest.raises(errors.UnsupportedMediaType, match="'jpeg'"):
        renderer.inspect(jpeg)


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
