"""How a part of the stack is broken, and what an operator's supervisor does about it: start it again.

Only processes of the test's own stack are found, by their parents, and ended by their numbers.
"""

import contextlib
import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.faketime import set_clock
from tests.faults.system import System
from tests.servers import Server

Act = Callable[[System], object]


def nothing(system: System) -> None:
    """For what is started again by its parent: by gunicorn, nginx or the worker's pool."""


@dataclass(frozen=True)
class Harm:
    """What goes wrong, and how it ends."""

    name: str
    break_it: Act
    mend: Act = nothing


def _pid(server: Server) -> int:
    assert server.process is not None
    return server.process.pid


def _children(pid: int) -> list[int]:
    found = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found += [int(child) for child in path.read_text().split()]
    return found


def _descendants(pid: int) -> Iterator[int]:
    for child in _children(pid):
        yield child
        yield from _descendants(child)


def _words(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    return ""


def _kill(*pids: int) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _kill_api_process(system: System) -> None:
    _kill(random.choice(_children(_pid(system.images.api))))


def _kill_decoders(system: System) -> None:
    """Again and again for a second, so that some are in the middle of a picture."""
    for _ in range(10):
        for server in list(_descendants(_pid(system.images.api))):
            if "forkserver" in _words(server):
                _kill(*_children(server))
        time.sleep(0.1)


def _kill_fork_server(system: System) -> None:
    """What decoders are forks of."""
    for pid in list(_descendants(_pid(system.images.api))):
        if "forkserver" in _words(pid) and _children(pid):
            _kill(pid)


def _kill_work_horse(system: System) -> None:
    """The fork that does one job, if there is one now, with the process that forked it."""
    pool = random.choice(system.tasks.workers)
    for process in _children(pool.pid):
        _kill(*_descendants(process), process)


def _kill_worker(system: System) -> None:
    system.tasks.kill_worker(random.choice(system.tasks.workers))


def _kill_nginx_worker(system: System) -> None:
    _kill(random.choice(_children(_pid(system.images.nginx))))


def _start_anew(server: Server) -> None:
    """As a container's restart does: what the killed process left behind ends first."""
    server.kill()
    server.start()


def _fill(disk: str) -> Act:
    def fill(system: System) -> None:
        with (system.disks[disk] / "filler").open("wb", buffering=0) as filler, contextlib.suppress(OSError):
            for size in (1 << 20, 1 << 12, 1):
                with contextlib.suppress(OSError):
                    while filler.write(bytes(size)):
                        pass

    return fill


def _free(disk: str) -> Act:
    return lambda system: (system.disks[disk] / "filler").unlink()


def _set_clock(offset_s: int) -> Act:
    def act(system: System) -> None:
        assert system.clock is not None
        set_clock(system.clock, offset_s)

    return act


def _s3(mood: str) -> Act:
    def let(system: System) -> None:
        assert system.s3 is not None
        system.s3.mood = mood  # type: ignore[assignment]  # one of Mood

    return let


API_PROCESS = Harm("API process killed", _kill_api_process)
API_MASTER = Harm(
    "API master killed",
    lambda system: _kill(_pid(system.images.api)),
    lambda system: _start_anew(system.images.api),
)
DECODERS = Harm("render children killed", _kill_decoders)
FORK_SERVER = Harm("fork server of render children killed", _kill_fork_server)
WORK_HORSE = Harm("RQ worker killed in its job", _kill_work_horse)
WORKER = Harm("worker with all processes killed", _kill_worker, lambda system: system.start_workers())
NGINX_PROCESS = Harm("nginx worker killed", _kill_nginx_worker)
NGINX_MASTER = Harm(
    "nginx master killed",
    lambda system: _kill(_pid(system.images.nginx)),
    lambda system: _start_anew(system.images.nginx),
)
NGINX = Harm(
    "nginx killed",
    lambda system: system.images.nginx.kill(),
    lambda system: system.images.nginx.start(),
)
REDIS = Harm(
    "Redis killed", lambda system: system.images.redis.kill(), lambda system: system.images.redis.start()
)
REDIS_HUNG = Harm(
    "Redis hung", lambda system: system.images.redis.pause(), lambda system: system.images.redis.resume()
)
MARIADB = Harm(
    "MariaDB killed", lambda system: system.database.kill(), lambda system: system.database.start()
)
MARIADB_HUNG = Harm(
    "MariaDB hung", lambda system: system.database.pause(), lambda system: system.database.resume()
)
S3_503 = Harm("S3 answers 503", _s3("503"), _s3("well"))
S3_HUNG = Harm("S3 hangs", _s3("hangs"), _s3("well"))
ORIGINALS_FULL = Harm("disk of originals full", _fill("originals"), _free("originals"))
SPOOL_FULL = Harm("disk of spool files full", _fill("spool"), _free("spool"))
AOF_FULL = Harm("disk of Redis' AOF full", _fill("redis"), _free("redis"))
CLOCK_AHEAD = Harm("clock an hour ahead, and back", _set_clock(3600), _set_clock(0))
CLOCK_BEHIND = Harm("clock an hour behind, and back", _set_clock(-3600), _set_clock(0))
