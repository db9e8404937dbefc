"""Slots: how many renders run at once on one machine."""

import contextlib
import contextvars
import fcntl
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from imagestore.children.others import Others
from imagestore.children.slots import Slots
from imagestore.errors import Overloaded
from imagestore.patience import note_wait
from tests.servers import wait_until


def hold(slots: Slots, until: threading.Event, note: Callable[[], None] = lambda: None) -> threading.Thread:
    """A thread that takes a turn, notes it, and keeps it until the event."""

    def work() -> None:
        with slots.turn():
            note()
            until.wait(20)

    thread = threading.Thread(target=work)
    thread.start()
    return thread


def wait_for_line(slots: Slots, length: int) -> None:
    wait_until(lambda: len(slots._line) == length, what=f"{length} in line")


def note_time(times: list[float]) -> None:
    times.append(time.monotonic())


def test_as_many_turns_as_slots_over_all_that_share_the_folder(tmp_path: Path) -> None:
    shared = [Slots(tmp_path, 2, queue=50, timeout_s=20) for _ in range(3)]
    lock, now, most = threading.Lock(), 0, 0

    def work(slots: Slots) -> None:
        nonlocal now, most
        for _ in range(20):
            with slots.turn():
                with lock:
                    now += 1
                    most = max(most, now)
                time.sleep(0.001)
                with lock:
                    now -= 1

    threads = [threading.Thread(target=work, args=(shared[number % 3],)) for number in range(9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert most == 2
    assert not any(thread.is_alive() for thread in threads)


def test_a_full_queue_is_refused_at_once(tmp_path: Path) -> None:
    slots, done = Slots(tmp_path, 1, queue=1, timeout_s=20), threading.Event()
    turns: list[int] = []
    first = hold(slots, done, lambda: turns.append(1))
    wait_until(lambda: len(turns) == 1, what="first turn")
    second = hold(slots, done, lambda: turns.append(2))
    wait_for_line(slots, 1)
    started = time.monotonic()

    with pytest.raises(Overloaded, match="1 pictures wait"), slots.turn():
        pass

    assert time.monotonic() - started < 5
    done.set()
    first.join(10)
    second.join(10)
    assert turns == [1, 2]


def test_a_wait_that_is_too_long_is_refused(tmp_path: Path) -> None:
    slots, other = Slots(tmp_path, 1, queue=5, timeout_s=0.3), Slots(tmp_path, 1, queue=5, timeout_s=0.3)

    with other.turn():
        started = time.monotonic()
        with pytest.raises(Overloaded, match=r"within 0\.3 s"), slots.turn():
            pass
        waited = time.monotonic() - started
    with slots.turn():
        pass

    assert 0.3 <= waited < 1


def test_who_has_waited_elsewhere_waits_for_less(tmp_path: Path) -> None:
    slots, other = Slots(tmp_path, 1, queue=5, timeout_s=20), Slots(tmp_path, 1, queue=5, timeout_s=20)

    def ask() -> None:
        note_wait(19.8)
        with slots.turn():
            pass

    # In a context of its own, as each thread has one.
    with other.turn():
        started = time.monotonic()
        with pytest.raises(Overloaded, match=r"within 0\.2 s"):
            contextvars.copy_context().run(ask)
        waited = time.monotonic() - started
    with slots.turn():
        pass

    assert 0.2 <= waited < 2


def test_waiters_of_one_process_go_first_come_first_served(tmp_path: Path) -> None:
    slots = Slots(tmp_path, 1, queue=10, timeout_s=20)
    order: list[int] = []
    threads: list[threading.Thread] = []
    at_once = threading.Event()
    at_once.set()

    with slots.turn():
        for number in range(5):
            threads.append(hold(slots, at_once, partial(order.append, number)))
            wait_for_line(slots, number + 1)
    for thread in threads:
        thread.join(10)

    assert order == [0, 1, 2, 3, 4]


def test_a_slot_of_a_killed_process_comes_free(tmp_path: Path) -> None:
    slots = Slots(tmp_path, 1, queue=5, timeout_s=20)
    code = (
        "import sys, time; from pathlib import Path; from imagestore.children.slots import Slots\n"
        "slots = Slots(Path(sys.argv[1]), 1, queue=1, timeout_s=1)\n"
        "with slots.turn(): print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        turns: list[float] = []
        at_once = threading.Event()
        at_once.set()
        waiter = hold(slots, at_once, partial(note_time, turns))
        wait_for_line(slots, 1)

        killed = time.monotonic()
        holder.send_signal(signal.SIGKILL)
        waiter.join(10)

    assert turns[0] - killed < 0.5


def test_a_freed_slot_is_taken_without_polling(tmp_path: Path) -> None:
    slots, other = Slots(tmp_path, 1, queue=5, timeout_s=20), Slots(tmp_path, 1, queue=5, timeout_s=20)
    delays: list[float] = []
    at_once = threading.Event()
    at_once.set()

    for _ in range(20):
        taken: list[float] = []
        with slots.turn():
            waiter = hold(other, at_once, partial(note_time, taken))
            wait_for_line(other, 1)
        freed = time.monotonic()
        waiter.join(10)
        delays.append(taken[0] - freed)

    # By the bell it takes a tenth of a millisecond; by the timer 25 ms on average.
    assert sorted(delays)[len(delays) // 2] < 0.01


def test_a_fork_that_lives_on_does_not_keep_the_slot(tmp_path: Path) -> None:
    slots = Slots(tmp_path, 1, queue=5, timeout_s=5)

    with slots.turn():
        # A duplicate shares the open file description, as a forked child's does.
        held = next(path for path in tmp_path.iterdir() if path.name == "0")
        duplicates = [fd for fd in Path("/proc/self/fd").iterdir() if fd.exists() and fd.resolve() == held]
        copy = fcntl.fcntl(int(duplicates[0].name), fcntl.F_DUPFD_CLOEXEC, 0)

    with slots.turn(), open(copy, "rb"):
        pass


def test_a_crowd_leaves_some_slots_unused_until_it_is_gone(tmp_path: Path) -> None:
    others = Crowd(left=2)
    slots = Slots(tmp_path, 3, queue=0, timeout_s=20, others=others)

    beside_it = turns_at_once(slots)
    others.left = 3

    assert (beside_it, turns_at_once(slots)) == (2, 3)


def test_who_waits_in_line_gets_the_slot_that_a_crowd_gives_back(tmp_path: Path) -> None:
    others, done = Crowd(left=1), threading.Event()
    slots = Slots(tmp_path, 2, queue=1, timeout_s=20, others=others)
    first = hold(slots, done)
    wait_until(lambda: turns_at_once(Slots(tmp_path, 1, queue=0, timeout_s=20)) == 0, what="the first has it")
    second = hold(slots, done, (both := threading.Event()).set)
    wait_for_line(slots, 1)

    others.left = 2

    assert both.wait(20)
    done.set()
    first.join()
    second.join()


class Crowd(Others):
    """One that leaves so many."""

    def __init__(self, left: int) -> None:
        super().__init__()
        self.left = left

    def leave(self, count: int) -> int:
        return min(count, self.left)


def turns_at_once(slots: Slots) -> int:
    """How many there are before one is refused."""
    with contextlib.ExitStack() as turns:
        for number in range(100):
            try:
                turns.enter_context(slots.turn())
            except Overloaded:
                return number
    raise AssertionError("there is no end of turns")
