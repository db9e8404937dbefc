"""The render pool with real decoder processes: what each may use, and how many there are at once."""

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import pytest

from imagestore import errors
from imagestore.settings import MIB, Limits
from tests.servers import ROOT, wait_until
from tests.unit.render.decoding import FACTS, Bench, decoders, forkers


def test_limits_hold_in_the_decoder(bench: Bench, fresh_forker: None) -> None:
    renderer = bench.renderer(limits=Limits(render_memory_bytes=512 * MIB, render_timeout_s=3))

    seen = renderer.inspect(bench.picture("limits"))[1].seen

    # Its own size counts from the start, the engines and the 64 MiB of addresses that malloc reserves for
    # the watching thread among it (HEAP_MAX_SIZE of glibc's arena.c); it may have grown a little since.
    assert 0 <= seen["size"] - (seen["RLIMIT_AS"] - 512 * MIB) < 8 * MIB
    assert seen["RLIMIT_FSIZE"] == 512 * MIB
    assert seen["RLIMIT_CORE"] == 0
    assert 7 <= seen["RLIMIT_CPU"] <= 9


def test_no_variable_of_ours_reaches_a_decoder(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("API_KEY", "DATABASE_URL", "REDIS_URL", "STORAGE_URL", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "hush-hush")

    seen = bench.renderer().inspect(bench.picture("environment"))[1].seen

    assert "hush-hush" not in str(seen)
    assert {"VIPS_CONCURRENCY=1", "MAGICK_THREAD_LIMIT=1", "OMP_NUM_THREADS=1"} <= set(seen["environ"])
    assert "MALLOC_ARENA_MAX=2" in seen["environ"]
    assert seen["dict"]["MAGICK_CONFIGURE_PATH"] == str(ROOT / "imagestore" / "engines" / "policy")
    (forker,) = forkers()
    assert b"hush-hush" not in Path(f"/proc/{forker}/environ").read_bytes()


def test_temporary_files_are_in_a_folder_of_its_own_and_go_after_each_task(bench: Bench) -> None:
    renderer = bench.renderer()

    first = renderer.inspect(bench.picture("litter"))[1].seen
    left = bench.files()
    second = renderer.inspect(bench.picture("litter"))[1].seen

    assert left == []
    assert Path(first["folder"]).is_relative_to(bench.scratch)
    assert first["seen_by_c"] == [first["folder"]] * 2
    assert first["cwd"] == first["folder"] == second["folder"]


def test_temporary_files_of_a_killed_decoder_go_too(bench: Bench) -> None:
    renderer = bench.renderer(limits=Limits(render_timeout_s=0.5))

    with pytest.raises(errors.ImageTooComplex):
        renderer.inspect(bench.picture("litter-and-hang"))

    # By the one who takes the killed decoder's place.
    wait_until(lambda: bench.files() == [], what="the end of the files")


def test_left_overs_of_dead_processes_go_at_the_start_and_of_living_ones_stay(bench: Bench) -> None:
    living = bench.renderer()
    folder = Path(living.inspect(bench.picture("litter"))[1].seen["folder"])
    dead = bench.scratch / "tmpdead" / "3"
    dead.mkdir(parents=True)
    (dead / "magick-1").write_bytes(b"x")

    bench.renderer().inspect(bench.picture("nothing"))

    assert not dead.parent.exists()
    assert folder.is_dir()
    assert living.inspect(bench.picture("nothing"))[0] == FACTS


def test_a_decoder_is_renewed_after_its_number_of_tasks(bench: Bench) -> None:
    renderer = bench.renderer(max_tasks=3)

    pids = [renderer.inspect(bench.picture("nothing"))[1].seen["pid"] for _ in range(7)]

    assert pids[0] == pids[1] == pids[2] != pids[3] == pids[4] == pids[5] != pids[6]
    wait_until(lambda: decoders() == {pids[6]}, what="the end of the used ones")


def test_never_more_at_once_than_processes_over_all_that_share_the_slots(bench: Bench) -> None:
    renderers = [bench.renderer(processes=1) for _ in range(2)]
    source = bench.picture("span 0.02")
    with ThreadPoolExecutor(6) as pool:
        spans = list(pool.map(lambda number: renderers[number % 2].inspect(source)[1].seen, range(12)))

    spans.sort(key=lambda span: span["begin"])
    assert all(earlier["end"] <= later["begin"] for earlier, later in pairwise(spans))


def test_more_than_the_queue_are_refused_as_overloaded(bench: Bench) -> None:
    renderer = bench.renderer(processes=1, queue=1, queue_timeout_s=2)
    with ThreadPoolExecutor(3) as pool:
        running = pool.submit(renderer.inspect, bench.picture("span 5"))
        wait_until(lambda: len(decoders()) == 1, what="the first at work")
        answers = [pool.submit(renderer.inspect, bench.picture("nothing")) for _ in range(2)]

        refusals = [answer.exception(20) for answer in answers]

        assert not running.done()
        assert [type(refusal) for refusal in refusals] == [errors.Overloaded] * 2
        assert {str(refusal).split(",")[0] for refusal in refusals} == {
            "1 pictures wait for a free processor already",
            "no processor came free within 2 s",
        }
        assert running.result(20)[0] == FACTS
