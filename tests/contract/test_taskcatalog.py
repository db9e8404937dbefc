"""What the task catalog promises, on SQLite and on a real MariaDB alike."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace

import pytest

from imagestore.catalog import Catalog
from imagestore.taskcatalog import TaskCatalog
from imagestore.taskrecords import Again, Ended, Fetch, NewTask, TaskRecord, TaskSearch
from tests.servers import wait_until

LEASE_S = 0.3
TASK = NewTask("download", "d", dkey="k", url="http://example.org/a", host="example.org")


@pytest.fixture
def tasks(database_url: str) -> Iterator[TaskCatalog]:
    with (
        closing(Catalog(database_url)) as catalog,
        closing(TaskCatalog(database_url, lease_s=LEASE_S, pool_size=8)) as tasks,
    ):
        catalog.prepare()
        yield tasks


def claimed(tasks: TaskCatalog, task: NewTask = TASK) -> tuple[TaskRecord, str]:
    """A task that a job works on."""
    found = tasks.claim(tasks.insert(task, queued=True).id)
    assert found is not None
    return found


def ended(tasks: TaskCatalog, how: Ended, task: NewTask = TASK) -> int:
    """A task that has ended."""
    record, word = claimed(tasks, task)
    assert tasks.end(record, word, how, duration_ms=5)
    return record.id


def read(tasks: TaskCatalog, task_id: int) -> TaskRecord:
    record = tasks.by_id(task_id)
    assert record is not None
    return record


def test_task_comes_back_as_it_was_given(tasks: TaskCatalog) -> None:
    given = replace(
        TASK,
        dkey="ключ 😀",
        page_url="http://example.org/страница",
        metadata={"a": ["ü", 1.5, None]},
        callback="https://example.org/cb",
        overwrite=True,
    )

    record = tasks.insert(given, queued=False)

    assert read(tasks, record.id) == record
    for name in ("kind", "domain", "dkey", "url", "host", "page_url", "metadata", "callback", "overwrite"):
        assert getattr(record, name) == getattr(given, name)
    assert (record.flag, record.attempts, record.delivery) == ("created", 0, None)


def test_one_of_many_jobs_gets_a_task_and_only_once(tasks: TaskCatalog) -> None:
    task_id = tasks.insert(TASK, queued=True).id

    with ThreadPoolExecutor(6) as pool:
        got = [found for found in pool.map(tasks.claim, [task_id] * 6) if found]

    assert len(got) == 1
    assert got[0][0].attempts == 1
    assert tasks.put_back(task_id, got[0][1], Again(0, counts=False), 1)
    assert tasks.claim(task_id) is None
    assert read(tasks, task_id).attempts == 0


def test_ended_task_is_claimed_and_changed_no_more(tasks: TaskCatalog) -> None:
    record, word = claimed(tasks)
    fetch = Fetch("http://example.org/b", '"v1"', "Mon, 23 Nov 2026 00:00:00 GMT")
    how = Ended("warning", "truncated", "cut short", image_id=3, sha256="a" * 64, fetch=fetch)

    assert tasks.end(record, word, how, duration_ms=7)

    assert not tasks.end(record, word, Ended("failed"), 1)
    assert not tasks.beat(record.id, word)
    assert tasks.claim(record.id) is None
    now = read(tasks, record.id)
    assert (now.flag, now.flag_ext, now.image_id) == ("warning", "truncated: cut short", 3)
    assert (now.fetch, now.duration_ms, now.due_time) == (fetch, 7, None)


def test_due_are_waiting_tasks_and_those_whose_job_or_worker_is_silent(tasks: TaskCatalog) -> None:
    waiting = tasks.insert(TASK, queued=False).id
    queued = tasks.insert(TASK, queued=True).id
    record, word = claimed(tasks)

    assert [one.id for one in tasks.turns.due("download", 10)] == [waiting]
    wait_until(lambda: len(tasks.turns.due("download", 10)) == 3, what="the silence")

    states = {one.id: (one.queued, one.claim) for one in tasks.turns.due("download", 10)}
    assert states == {waiting: (False, None), queued: (True, None), record.id: (True, word)}


def test_heartbeat_keeps_a_claim(tasks: TaskCatalog) -> None:
    record, word = claimed(tasks)
    first = record.due_time
    assert first is not None

    assert tasks.beat(record.id, word)

    later = read(tasks, record.id).due_time
    assert later is not None
    assert later >= first


def test_dead_workers_are_counted_and_their_claims_worth_nothing(tasks: TaskCatalog) -> None:
    record, word = claimed(tasks)
    wait_until(lambda: bool(tasks.turns.due("download", 10)), what="the silence")
    (due,) = tasks.turns.due("download", 10)

    assert tasks.turns.release(due)

    assert not tasks.turns.release(due)
    assert not tasks.end(record, word, Ended("succeed"), 1)
    assert (read(tasks, record.id).deaths, read(tasks, record.id).flag) == (1, "created")


def test_hosts_are_counted_and_left_out(tasks: TaskCatalog) -> None:
    slow = replace(TASK, host="slow.example")
    tasks.insert(slow, queued=True)
    tasks.insert(slow, queued=False)
    other = tasks.insert(TASK, queued=False).id

    assert tasks.turns.busy_hosts() == {"slow.example": 1}
    assert [one.id for one in tasks.turns.due("download", 10, without_hosts=["slow.example"])] == [other]


def test_lines_of_a_batch_are_taken_once(tasks: TaskCatalog) -> None:
    lines = {n: replace(TASK, url=f"http://example.org/{n}") for n in (1, 2, 4)}

    taken, new = tasks.insert_lines("b" * 32, lines, queued=False)
    again, none = tasks.insert_lines("b" * 32, {**lines, 3: TASK}, queued=False)

    assert [(one.line, one.url) for one in taken] == [(n, lines[n].url) for n in (1, 2, 4)]
    assert new == [one.id for one in taken]
    assert [one for one in again if one.line != 3] == taken
    assert len(none) == 1


def test_a_batch_that_comes_twice_at_once_is_taken_once(tasks: TaskCatalog) -> None:
    lines = dict.fromkeys(range(1, 200), TASK)

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: tasks.insert_lines("c" * 32, lines, queued=False), range(2))

    assert first[0] == second[0]
    assert len(tasks.page(TaskSearch(), limit=1000)) == 199


def test_counts_and_pages_follow_flag_reason_and_domain(tasks: TaskCatalog) -> None:
    waiting = tasks.insert(replace(TASK, domain="e"), queued=False).id
    good = ended(tasks, Ended("succeed"))
    gone = ended(tasks, Ended("failed", "http-404", "gone"))

    assert sorted(tasks.counts([]), key=str) == [
        ("created", None, 1),
        ("failed", "http-404", 1),
        ("succeed", None, 1),
    ]
    assert tasks.counts(["e"]) == [("created", None, 1)]

    def ids(flag: str | None = None, problem: str | None = None, domains: tuple[str, ...] = ()) -> list[int]:
        page = tasks.page(TaskSearch(flag, problem, domains), limit=10)
        return [task.id for task in page]

    assert ids() == [waiting, good, gone]
    assert ids(flag="failed", problem="http-404") == [gone]
    assert ids(domains=("e",)) == [waiting]


def test_the_problem_of_the_last_try_is_no_reason_yet(tasks: TaskCatalog) -> None:
    ended(tasks, Ended("failed", "timeout"))
    record, word = claimed(tasks)
    assert tasks.put_back(record.id, word, Again(0, "http-503", "busy"), 1)
    tasks.insert(TASK, queued=False)

    assert sorted(tasks.counts([]), key=str) == [("created", None, 2), ("failed", "timeout", 1)]


def test_pages_begin_with_the_newest_if_wished(tasks: TaskCatalog) -> None:
    first, second, third = (tasks.insert(TASK, queued=False).id for _ in range(3))

    def ids(after: int | None) -> list[int]:
        page = tasks.page(TaskSearch(after=after, newest=True), limit=2)
        return [task.id for task in page]

    assert (ids(None), ids(second)) == ([third, second], [first])


def test_only_failed_tasks_start_over(tasks: TaskCatalog) -> None:
    gone, slow = (ended(tasks, Ended("failed", problem)) for problem in ("http-404", "timeout"))
    good = ended(tasks, Ended("succeed"))

    assert not tasks.retry(good)
    assert tasks.retry_all(problem="timeout", domains=[], limit=10) == 1
    assert tasks.retry(gone)

    assert [read(tasks, task_id).flag for task_id in (gone, slow, good)] == ["created", "created", "succeed"]
    assert {one.id for one in tasks.turns.due("download", 10)} == {gone, slow}


def test_only_waiting_tasks_are_removed(tasks: TaskCatalog) -> None:
    waiting = tasks.insert(TASK, queued=True).id
    record, _ = claimed(tasks)

    assert tasks.remove_waiting(waiting)
    assert not tasks.remove_waiting(record.id)
    assert not tasks.remove_waiting(ended(tasks, Ended("succeed")))
    assert tasks.by_id(waiting) is None


def test_last_fetch_is_of_the_same_url_and_name(tasks: TaskCatalog) -> None:
    ended(tasks, Ended("succeed", image_id=1))
    newest = ended(tasks, Ended("warning", "unchanged", image_id=1))
    ended(tasks, Ended("failed", "http-404"))

    found = tasks.last_fetch(TASK.url, "d", "k")

    assert found is not None
    assert found.id == newest
    assert tasks.last_fetch(TASK.url, "d", None) is None
    assert tasks.last_fetch(TASK.url + "?", "d", "k") is None


def test_callback_waits_is_claimed_once_and_ends(tasks: TaskCatalog) -> None:
    with_callback = replace(TASK, callback="http://example.org/cb")
    task_id = ended(tasks, Ended("succeed"), with_callback)
    ended(tasks, Ended("succeed"))
    callbacks = tasks.callbacks

    assert callbacks.due(10) == [(task_id, "http://example.org/cb")]
    callbacks.mark_queued([task_id])
    first = callbacks.claim(task_id, lease_s=60)
    assert first is not None
    assert callbacks.claim(task_id, lease_s=60) is None
    callbacks.again(task_id, "http-503", delay_s=0)
    assert callbacks.due(10) == [(task_id, "http://example.org/cb")]
    callbacks.mark_queued([task_id])
    second = callbacks.claim(task_id, lease_s=60)
    assert second is not None
    callbacks.failed(second, "http-503", Ended("warning", "callback-undeliverable", "given up"))

    now = read(tasks, task_id)
    assert first.event_id == second.event_id == now.event_id
    assert (now.flag, now.problem) == ("warning", "callback-undeliverable")
    assert now.delivery is not None
    assert (now.delivery.flag, now.delivery.attempts, now.delivery.problem) == ("failed", 2, "http-503")
    assert callbacks.due(10) == []


def test_undeliverable_callback_leaves_the_reason_of_a_failure(tasks: TaskCatalog) -> None:
    task_id = ended(tasks, Ended("failed", "http-404", "gone"), replace(TASK, callback="http://x.example/"))
    tasks.callbacks.mark_queued([task_id])
    task = tasks.callbacks.claim(task_id, lease_s=60)
    assert task is not None

    tasks.callbacks.failed(task, "timeout", Ended("warning", "callback-undeliverable", "given up"))

    assert read(tasks, task_id).flag_ext == "http-404: gone"


def test_open_tasks_are_counted_with_the_longest_wait(tasks: TaskCatalog) -> None:
    tasks.insert(TASK, queued=False)
    tasks.insert(TASK, queued=True)
    tasks.insert(replace(TASK, kind="upload"), queued=True)
    ended(tasks, Ended("succeed"))

    def overdue_s() -> float:
        return next(one.overdue_s for one in tasks.open_tasks() if one.kind == "download")

    wait_until(lambda: overdue_s() > 0, what="the one without a job should have had its turn")
    counts = {one.kind: one.count for one in tasks.open_tasks()}

    assert counts == {"download": 2, "upload": 1}


@pytest.mark.parametrize("newest", [False, True])
def test_pages_of_every_search_have_each_of_its_tasks_once(tasks: TaskCatalog, newest: bool) -> None:
    ways = [
        Ended("succeed"),
        Ended("failed", "gone"),
        Ended("failed", "slow"),
        Ended("warning", "slow"),
        None,
    ]
    there = {}
    for number in range(30):
        domain, way = "abc"[number % 3], ways[number % 5]
        task = replace(TASK, domain=domain)
        task_id = ended(tasks, way, task) if way else tasks.insert(task, queued=False).id
        there[task_id] = (domain, way.flag if way else "created", way.problem if way else None)

    for domains in ((), ("a",), ("a", "c"), ("b", "nobody")):
        for flag in (None, "created", "failed"):
            for problem in (None, "slow"):
                expected = [
                    task_id
                    for task_id, (domain, its_flag, its_problem) in there.items()
                    if (not domains or domain in domains)
                    and flag in (None, its_flag)
                    and problem in (None, its_problem)
                ]
                found: list[int] = []
                search = TaskSearch(flag, problem, domains, newest=newest)
                while page := tasks.page(search, limit=4):
                    found += [task.id for task in page]
                    search = replace(search, after=found[-1])
                assert found == sorted(expected, reverse=newest), search


def test_hosts_behind_a_slow_one_have_their_turn(tasks: TaskCatalog) -> None:
    tasks.insert_lines("b" * 32, dict.fromkeys(range(1, 41), replace(TASK, host="slow")), queued=False)
    quick = [tasks.insert(replace(TASK, host=f"host-{number:03}"), queued=False).id for number in range(120)]
    tasks.insert(replace(TASK, host="host-300"), queued=True)
    tasks.insert(replace(TASK, kind="upload", host="host-301"), queued=False)

    # The slow one has all that is looked at first; the others come fifty hosts at a time, in a circle.
    seen = [[one.id for one in tasks.turns.due("download", 20, without_hosts=["slow"])] for _ in range(4)]

    assert all(len(page) == 20 for page in seen)
    assert [page[0] for page in seen] == [quick[0], quick[50], quick[100], quick[0]]
    assert (
        tasks.turns.due("download", 20, without_hosts=["slow", *(f"host-{n:03}" for n in range(120))]) == []
    )
