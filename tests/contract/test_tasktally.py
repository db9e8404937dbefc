"""What is counted of the tasks is what is there, whoever changes them at once; on SQLite and MariaDB."""

import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import replace
from typing import Any

import pytest

from imagestore.catalog import Catalog
from imagestore.database import Database
from imagestore.taskcatalog import TaskCatalog
from imagestore.taskrecords import Ended, NewTask, Standing
from tests.servers import wait_until

LEASE_S = 0.1
TASK = NewTask("download", "d", url="http://example.org/a", host="example.org")
CALLED_BACK = replace(TASK, callback="http://example.org/cb")


@pytest.fixture
def tasks(database_url: str) -> Iterator[TaskCatalog]:
    with (
        closing(Catalog(database_url)) as catalog,
        closing(TaskCatalog(database_url, lease_s=LEASE_S, pool_size=8)) as tasks,
    ):
        catalog.prepare()
        yield tasks


def ended(tasks: TaskCatalog, how: Ended, task: NewTask = TASK) -> int:
    claimed = tasks.claim(tasks.insert(task, queued=True).id)
    assert claimed is not None
    assert tasks.end(*claimed, how, duration_ms=5)
    return claimed[0].id


def counted(tasks: TaskCatalog, *domains: str) -> dict[tuple[str, str | None], int]:
    return {(flag, problem): number for flag, problem, number in tasks.counts(domains)}


def miscount(tasks: TaskCatalog) -> None:
    """As servers of a version leave it that does not count."""
    tasks._database.write(lambda db: db.execute_sql("UPDATE task_count SET tasks = tasks + 7"))


def test_every_change_of_a_task_is_counted(tasks: TaskCatalog) -> None:
    tasks.insert_lines("b" * 32, {1: TASK, 2: replace(TASK, domain="e"), 3: TASK}, queued=False)
    tasks.insert_lines("b" * 32, {3: TASK, 4: TASK}, queued=False)
    ended(tasks, Ended("warning", "unchanged"))
    again = [ended(tasks, Ended("failed", problem)) for problem in ("gone", "gone", "timeout")]
    assert tasks.retry(again[0])
    assert not tasks.retry(again[0])
    assert tasks.retry_all(problem="timeout", domains=["d"], limit=9) == 1
    assert tasks.remove_waiting(tasks.insert(TASK, queued=False).id)
    lost = tasks.claim(tasks.insert(TASK, queued=True).id)
    assert lost is not None
    late = [one for one in wait_for_claimed(tasks) if one.id == lost[0].id]
    assert tasks.turns.end_dead(late[0], Ended("failed", "poison"))
    assert not tasks.end(*lost, Ended("succeed"), 5)

    assert counted(tasks) == {
        ("created", None): 6,
        ("warning", "unchanged"): 1,
        ("failed", "gone"): 1,
        ("failed", "poison"): 1,
    }
    assert counted(tasks, "e") == {("created", None): 1}
    assert counted(tasks, "nobody") == {}
    assert tasks.recount(repair=False) == []


def wait_for_claimed(tasks: TaskCatalog) -> list[Any]:
    """Tasks whose worker has gone silent."""
    wait_until(lambda: any(one.claim for one in tasks.turns.due("download", 99)), what="the lease to be over")
    return [one for one in tasks.turns.due("download", 99) if one.claim]


@pytest.mark.parametrize(("flag", "problem"), [("succeed", None), ("failed", "gone")])
def test_a_callback_that_is_given_up_moves_only_what_had_succeeded(
    tasks: TaskCatalog, flag: Any, problem: str | None
) -> None:
    task_id = ended(tasks, Ended(flag, problem), CALLED_BACK)
    tasks.callbacks.mark_queued([task_id])
    task = tasks.callbacks.claim(task_id, lease_s=60)
    assert task is not None

    tasks.callbacks.failed(task, "http-503", Ended("warning", "callback-undeliverable"))

    expected = ("warning", "callback-undeliverable") if flag == "succeed" else (flag, problem)
    assert counted(tasks) == {expected: 1}
    assert tasks.recount(repair=False) == []


def test_workers_that_end_tasks_at_once_are_all_counted(database_url: str, tasks: TaskCatalog) -> None:
    # SQLite has one writer at a time; those of one process wait in a line for it.
    in_one = database_url.startswith("sqlite")
    workers, each = (4, 9) if in_one else (12, 15)
    together = threading.Barrier(workers, timeout=30)

    def work(catalog: TaskCatalog, number: int) -> Counter[str]:
        done: Counter[str] = Counter()
        together.wait()
        for turn in range(each):
            domain = "de"[turn % 2]
            if turn % 3:
                ended(catalog, Ended("succeed"), replace(TASK, domain=domain))
                done["succeed"] += 1
            else:
                failed = ended(catalog, Ended("failed", f"reason-{turn}"), replace(TASK, domain=domain))
                done["failed"] += 1
                if number % 2 and catalog.retry(failed):
                    done["failed"] -= 1
                    done["created"] += 1
        return done

    with ExitStack() as stack:
        catalogs = [
            tasks if in_one else stack.enter_context(closing(TaskCatalog(database_url)))
            for _ in range(workers)
        ]
        threads = stack.enter_context(ThreadPoolExecutor(workers))
        done = sum(threads.map(work, catalogs, range(workers)), Counter())

    found: Counter[str] = Counter()
    for flag, _, number in tasks.counts([]):
        found[flag] += number
    assert found == done
    assert tasks.recount(repair=False) == []


def test_a_recount_mends_while_tasks_end(tasks: TaskCatalog) -> None:
    for _ in range(5):
        ended(tasks, Ended("failed", "gone"))
    miscount(tasks)
    stop = threading.Event()

    def work() -> int:
        done = 0
        while not stop.is_set():
            ended(tasks, Ended("succeed"))
            done += 1
        return done

    with ThreadPoolExecutor(2) as threads:
        running = [threads.submit(work) for _ in range(2)]
        try:
            found = tasks.recount(repair=True)
        finally:
            stop.set()
        done = sum(one.result() for one in running)

    assert Standing.ended("d", "failed", "gone") in {one.standing for one in found}
    assert tasks.recount(repair=False) == []
    assert counted(tasks) == {("failed", "gone"): 5} | ({("succeed", None): done} if done else {})


def test_two_recounts_at_once_mend_once(
    database_url: str, tasks: TaskCatalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended(tasks, Ended("failed", "gone"))
    miscount(tasks)
    look, both = Database.snapshot, threading.Barrier(2, timeout=30)
    first = threading.local()

    def looked(database: Database, work: Any) -> Any:
        found = look(database, work)
        if not getattr(first, "came", False):
            first.came = True
            both.wait()
        return found

    with closing(TaskCatalog(database_url)) as other, ThreadPoolExecutor(2) as threads:
        monkeypatch.setattr(Database, "snapshot", looked)
        list(threads.map(lambda one: one.recount(repair=True), (tasks, other)))
        monkeypatch.undo()

    assert counted(tasks) == {("failed", "gone"): 1}
    assert tasks.recount(repair=False) == []
