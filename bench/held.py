"""What a stack holds at one moment: processes, descriptors, connections, locks.

After a load it has to be what it was before, but for what pools keep open.
"""

import contextlib
import fcntl
import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from redis import Redis

from bench.processes import command, family
from tests.imagestack import ImageStack

# What may stay open, as pools keep it.
API_PER_NGINX = 32
"""Of each nginx worker (`keepalive` in nginx.conf.template)."""
REDIS_PER_NGINX = 64
"""Of each nginx worker (POOL_SIZE in nginx/lua/redis.lua)."""
THREADS = 16
"""Of each gunicorn worker (API_THREADS); one has a connection to Redis, and another for its lease."""
DATABASE_FILES = 16 * 3
"""Of each gunicorn worker: the pool's connections (catalog.py), each with SQLite's three files."""
LISTENER, CLIENT, DATABASE = "listener", "nginx, from a client", "file of the database"
PIPE, SOCKET, DECODER = "pipe", "socket of {} without a connection by TCP", "decoder"
NGINX_API, API_NGINX = "nginx to the API", "API, from nginx"
NGINX_REDIS, API_REDIS, REDIS = "nginx to Redis", "API to Redis", "client of Redis"
OF_A_DECODER = {PIPE: 3, SOCKET.format("API"): 1}
"""Two pipes and a socket at who asks it, and a pipe at its fork server."""
_LISTEN = "0A"
"""State in /proc/net/tcp."""


@dataclass(frozen=True, slots=True)
class Held:
    """What is there at one moment."""

    servers: frozenset[int]
    """Processes of the API and of nginx, all but decoders, which come and go."""
    decoders: int
    open: Mapping[str, int]
    """How many descriptors of each kind the servers have; files have their path as kind."""
    pools: Mapping[str, int]
    """How many of a kind pools may keep open."""
    taken: tuple[str, ...]
    """What nobody has at rest: locks, slots, places in the line, processes that nobody has waited for."""

    def beyond(self, before: "Held") -> list[str]:
        """What is not as before, in words; nothing if all is."""
        gone = [f"process {pid} is gone" for pid in sorted(before.servers - self.servers)]
        new = [f"process {pid} is new: {command(pid)[:60]}" for pid in sorted(self.servers - before.servers)]
        allowed = {kind: max(before.open.get(kind, 0), self.pools.get(kind, 0)) for kind in self.open}
        for kind, ends in OF_A_DECODER.items():
            allowed[kind] = before.open.get(kind, 0) + ends * (self.decoders - before.decoders)
        more = [
            f"{kind}: {count} and not {allowed[kind]}"
            for kind, count in sorted(self.open.items())
            if count > allowed[kind]
        ]
        return [*gone, *new, *more, *self.taken]


def held(ours: ImageStack) -> Held:
    """What a stack with SQLite holds now."""
    # First, since it is a connection, too.
    waiting = int(ours.metric("imagestore_nginx_waiting"))
    of_api, of_nginx = family(ours.api.pid), family(ours.nginx.pid)
    decoders = set[int]().union(*(family(pid) - {pid} for pid in of_api if _is_fork_server(pid)))
    servers = {"nginx": of_nginx, "API": of_api - decoders}
    opened: Counter[str] = Counter()
    sockets = _sockets()
    for who, pids in servers.items():
        for link in (link for pid in pids for link in _links(pid)):
            opened[_kind(ours, who, link, sockets)] += 1
    with contextlib.closing(Redis.from_url(ours.env["REDIS_URL"])) as redis:
        # All but this one.
        opened[REDIS] = redis.info("clients")["connected_clients"] - 1
        locks = sorted(key.decode() for key in redis.scan_iter("lock:*"))
    taken = [f"Redis has {key}" for key in locks]
    taken += [f"slot {path.name} is held" for path in _slots(ours) if _is_locked(path)]
    taken += [f"{waiting} requests wait in nginx"] * (waiting > 0)
    taken += [
        f"process {pid} is dead, and nobody waited for it" for pid in of_api | of_nginx if _is_dead(pid)
    ]
    opened[DECODER] = len(decoders)
    return Held(
        servers=frozenset().union(*servers.values()),
        decoders=len(decoders),
        open=opened,
        pools=_pools(ours, nginx_workers=len(of_nginx) - 1),
        taken=tuple(taken),
    )


def wait_until_as(before: Held, ours: ImageStack, timeout_s: float = 30) -> None:
    """Wait until a stack holds what it held.

    Raises:
        RuntimeError: after `timeout_s` seconds it does not; says what is left.
    """
    deadline = time.monotonic() + timeout_s
    while left := held(ours).beyond(before):
        if time.monotonic() > deadline:
            raise RuntimeError(f"{timeout_s:g} s after the load not all is as before: {'; '.join(left)}")
        time.sleep(0.1)


def _pools(ours: ImageStack, nginx_workers: int) -> Mapping[str, int]:
    api_workers = int(ours.env["API_WORKERS"])
    nginx_redis, api_redis = REDIS_PER_NGINX * nginx_workers, 2 * THREADS * api_workers
    return {
        NGINX_API: API_PER_NGINX * nginx_workers,
        API_NGINX: API_PER_NGINX * nginx_workers,
        NGINX_REDIS: nginx_redis,
        API_REDIS: api_redis,
        REDIS: nginx_redis + api_redis,
        DATABASE: DATABASE_FILES * api_workers,
        DECODER: int(ours.env.get("RENDER_PROCESSES") or os.cpu_count() or 1) * api_workers,
    }


def _kind(ours: ImageStack, who: str, link: str, sockets: Mapping[str, tuple[int, int, str]]) -> str:
    """What a descriptor is for; `link` as /proc has it."""
    if link.startswith("pipe:"):
        return PIPE
    if not link.startswith("socket:"):
        database = str(Path(ours.env["DATA_DIR"]) / "imagestore.db")
        return DATABASE if link.startswith(database) else link.partition(":[")[0]
    if link not in sockets:
        return SOCKET.format(who)
    local, remote, state = sockets[link]
    if state == _LISTEN:
        return LISTENER
    api, nginx = ours.api.port, ours.nginx.port
    own = {nginx: CLIENT, api: API_NGINX}
    others = {api: NGINX_API, ours.redis.port: NGINX_REDIS if who == "nginx" else API_REDIS}
    return own.get(local) or others.get(remote) or f"socket of {who} to port {remote}"


def _sockets() -> dict[str, tuple[int, int, str]]:
    """Ports of each TCP socket, its own and the other's, and its state, by its name in /proc/PID/fd."""
    found = {}
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, remote, state, *_, inode = line.split()[:10]
        found[f"socket:[{inode}]"] = (int(local[-4:], 16), int(remote[-4:], 16), state)
    return found


def _links(pid: int) -> Iterator[str]:
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            # It may have been closed meanwhile.
            with contextlib.suppress(FileNotFoundError):
                yield os.readlink(descriptor)


def _slots(ours: ImageStack) -> list[Path]:
    return sorted((Path(ours.env["DATA_DIR"]) / "run" / "slots").glob("[0-9]*"))


def _is_locked(path: Path) -> bool:
    with path.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _is_fork_server(pid: int) -> bool:
    return "multiprocessing.forkserver" in command(pid)


def _is_dead(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    return False
