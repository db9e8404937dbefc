"""Thousands of URLs, some of which are bad, while workers and Redis are killed: each task ends as it must.

make test-faults                300 of them
make test-faults TASKS=10000    as many as that
"""

import base64
import json
import os
import random
import time
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from imagestore.callbacks import verify
from tests.faults.report import write_section
from tests.faults.system import System, system
from tests.faults.urls import Case, cases
from tests.mariadb import MariaDB
from tests.origin import Origin, answer, origin
from tests.servers import wait_until

pytestmark = pytest.mark.skipif(not os.environ.get("FAULT_TESTS"), reason="takes minutes: make test-faults")

TASKS = int(os.environ.get("TASKS") or 300)

SECRET = "whsec_" + base64.b64encode(b"s" * 32).decode()

SETTINGS: dict[str, Any] = {
    "WORKER_PROCESSES": "4",
    "CALLBACK_SECRET": SECRET,
    "CALLBACK_RETRY_S": "1",
    # All URLs are of one host here, and a hundredth of them takes as long as this, twice.
    "FETCH_CONCURRENCY_PER_HOST": "8",
    "FETCH_TIMEOUT_S": "2",
    "TASK_ATTEMPTS": "2",
}

WAIT_S = 120 + TASKS
"""Far more than it takes: a second for each."""


def test_every_url_ends_with_its_reason_though_workers_and_redis_are_killed(
    tmp_path: Path, durable_mariadb: MariaDB
) -> None:
    with origin() as inside, system(tmp_path / "s", durable_mariadb, **SETTINGS) as running:
        expected = list(cases(TASKS, inside))
        started = time.monotonic()
        _hand_in(running, expected)

        _kill_two_workers_and_redis(running)
        wait_until(lambda: _left(running) == 0, what="the end of all tasks", timeout_s=WAIT_S, every_s=0.5)
        took_s = time.monotonic() - started
        wait_until(lambda: len(_called_back(running.origin)) == TASKS, what="all callbacks", timeout_s=WAIT_S)

        tasks = {int(task["dkey"]): task for task in _pages(running.images.writer, "/tasks", "tasks")}
        images = _pages(running.images.writer, "/images", "images")
        calls = [request for request in running.origin.requests if request.target.startswith("/cb/")]
        stored = _files(running.folder / "data" / "originals")
        bugs = running.bugs()

    ends = [(tasks[n]["flag"], tasks[n]["problem"]) for n in range(TASKS)]
    assert [
        (n, end, tasks[n]["flag_ext"])
        for n, (end, case) in enumerate(zip(ends, expected, strict=True))
        if end != (case.flag, case.problem)
    ] == []
    assert len(images) == len({image["sha256"] for image in images}) == stored
    assert {int(image["dkey"]) for image in images} == {n for n in tasks if tasks[n]["flag"] != "failed"}
    # The first came as long ago as the run took.
    assert all(verify(SECRET, call.headers, call.body, tolerance_s=2 * WAIT_S) for call in calls)
    assert {json.loads(call.body)["id"] for call in calls} == {task["id"] for task in tasks.values()}
    assert inside.connections == 0
    assert bugs == []
    _report(ends, calls=len(calls), took_s=took_s)


def _hand_in(running: System, expected: list[Case]) -> None:
    lines = []
    for number, case in enumerate(expected):
        running.origin.paths[f"/{number}"] = case.behaviour
        running.origin.paths[f"/cb/{number}"] = answer(204)
        url, callback = (running.origin.url(f"{place}/{number}") for place in ("", "/cb"))
        lines.append(json.dumps({"url": url, "domain": "many", "dkey": str(number), "callback": callback}))
    headers = {"Content-Type": "application/x-ndjson"}
    got = running.images.writer.post("/tasks", content="\n".join(lines), headers=headers)
    assert got.status_code == 202, got.text
    assert (len(got.json()["tasks"]), got.json()["rejected"]) == (TASKS, [])


def _kill_two_workers_and_redis(running: System) -> None:
    """At random moments between a tenth and six tenths of the work."""
    when = sorted(random.sample(range(TASKS // 10, TASKS * 6 // 10), 3))
    victims = random.sample(["worker", "worker", "redis"], 3)
    for done, victim in zip(when, victims, strict=True):
        wait_until(
            partial(_has_done, running, done), what=f"{done} ended tasks", timeout_s=WAIT_S, every_s=0.2
        )
        if victim == "redis":
            running.images.redis.kill()
            running.images.redis.start()
        else:
            running.tasks.kill_worker(random.choice(running.tasks.workers))
            running.start_workers()


def _left(running: System) -> int:
    return int(running.tasks.flags()["created"])


def _has_done(running: System, count: int) -> bool:
    return _left(running) <= TASKS - count


def _called_back(server: Origin) -> set[str]:
    return {request.target for request in list(server.requests) if request.target.startswith("/cb/")}


def _pages(http: httpx.Client, route: str, members: str) -> list[dict[str, Any]]:
    found, page = [], f"{route}?domain=many&limit=1000"
    while page:
        answered = http.get(page).raise_for_status().json()
        found += answered[members]
        page = answered["next"]
    return found


def _files(folder: Path) -> int:
    """How many originals lie there; the store's own files and folders begin with a dot."""
    return sum(1 for path in folder.glob("[!.]*/**/*") if path.is_file())


def _report(ends: list[tuple[str, str | None]], *, calls: int, took_s: float) -> None:
    flags, reasons = Counter(flag for flag, _ in ends), Counter(problem for _, problem in ends if problem)
    rows = {
        "tasks": f"{len(ends):,}",
        "ended as": ", ".join(f"{count:,} {flag}" for flag, count in flags.most_common()),
        "reasons": ", ".join(f"{count} {reason}" for reason, count in reasons.most_common()),
        "all had ended after": f"{took_s / 60:.1f} minutes, {len(ends) / took_s:.0f} tasks a second",
        "callbacks received": f"{calls:,}, at least one for each task, all with a valid signature",
        "pictures stored twice": "0",
        "connections to the forbidden side": "0",
    }
    text = "| | |\n|---|---|\n" + "".join(f"| {name} | {value} |\n" for name, value in rows.items())
    print("\n" + text)
    if os.environ.get("REPORT"):
        write_section("urls", text)
