"""Part `tasks`: downloads a second of one worker process, against what bounds them."""

import contextlib
import itertools
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from bench.options import Options
from bench.report import Bar, Result
from bench.statistics import Series, alternate
from bench.webserver import static_server
from imagestore.download import Fetcher
from imagestore.spool import Spool
from tests.servers import ROOT, Server, wait_until
from tests.taskstack import TaskStack, task_stack

TASKS, NOOP, LOOP = "download tasks", "RQ no-op jobs", "bare loop of the HTTP client"

BARS = (Bar(TASKS, NOOP), Bar(TASKS, LOOP))
"""No number is demanded: the two ratios say how much of a task is the queue's and the network's."""

NOTE = (
    "One forking worker process; the origin is a local nginx, every picture has other bytes. A task "
    "also checks, decodes and stores its picture and writes two rows; the loop only fetches into the spool."
)


def measure(options: Options) -> list[Result]:
    """Tasks a second, in rounds of `options.count`."""
    root = options.folder / "tasks-origin"
    root.mkdir()
    with contextlib.ExitStack() as stack:
        origin = stack.enter_context(static_server(options.folder / "origin", root))
        settings = {
            "WORKER_PROCESSES": "1",
            "FETCH_ALLOW": f"127.0.0.1:{origin.port}",
            "FETCH_RATE_PER_HOST": "10000",
        }
        tasks = stack.enter_context(task_stack(options.folder / "tasks", None, **settings))
        tasks.start_worker()
        urls = _addresses(root, origin, options)
        _drain(tasks, urls(1))
        contestants: dict[str, Callable[[], float]] = {
            NOOP: lambda: _noop(tasks.redis, options.count),
            LOOP: lambda: _loop(options.folder / "spool", origin, urls(options.count)),
            TASKS: lambda: _drain(tasks, urls(options.count)),
        }
        seen = alternate(contestants, options.rounds)
    series = {name: Series(tuple(values)) for name, values in seen.items()}
    return [Result("tasks", "1/s", series, BARS, NOTE)]


def _addresses(root: Path, origin: Server, options: Options) -> Callable[[int], list[str]]:
    """Gives URLs that were not asked for yet, of pictures that nobody has stored."""
    photo, numbers = options.photo(), itertools.count()

    def more(count: int) -> list[str]:
        names = [f"{next(numbers)}.jpg" for _ in range(count)]
        for name in names:
            # A comment behind the first marker (ITU-T T.81 B.2.4.5) makes other bytes of one picture.
            words = name.encode()
            comment = b"\xff\xfe" + (len(words) + 2).to_bytes(2) + words
            (root / name).write_bytes(photo[:2] + comment + photo[2:])
        return [f"http://127.0.0.1:{origin.port}/{name}" for name in names]

    return more


def _noop(redis: Server, count: int) -> float:
    # Another database than the tasks' own, whose worker idles meanwhile.
    command = [sys.executable, "-m", "bench.noop", f"redis://127.0.0.1:{redis.port}/1", str(count)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return float(done.stdout)


def _loop(folder: Path, origin: Server, urls: list[str]) -> float:
    fetcher = Fetcher(allow=[f"127.0.0.1:{origin.port}"], user_agent="bench", max_bytes=2**25)
    spool = Spool(folder)
    started = time.perf_counter()
    for url in urls:
        with fetcher.fetch(url, spool):
            pass
    return len(urls) / (time.perf_counter() - started)


def _drain(tasks: TaskStack, urls: list[str]) -> float:
    """From the request with all of them until the last one has ended well."""
    before = tasks.flags().get("succeed", 0)
    started = time.perf_counter()
    body = json.dumps([{"url": url} for url in urls])
    answer = tasks.http.post("/tasks", content=body, headers={"Content-Type": "application/json"})
    answer.raise_for_status()
    wait_until(
        lambda: tasks.flags().get("succeed", 0) == before + len(urls),
        what="the end of all tasks",
        timeout_s=60 + 5 * len(urls),
    )
    return len(urls) / (time.perf_counter() - started)
