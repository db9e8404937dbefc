"""A Redis and its replica under the eyes of three Sentinels, with a password for either kind."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import redis

from tests.servers import Server, free_port, program, redis_server, wait_until

MASTER = "pictures"
PASSWORD = "of/redis@home"
SENTINEL_PASSWORD = "of+the&sentinels"

DOWN_AFTER_MS = 500


@dataclass
class Watched:
    """`url` is what REDIS_URL is; `servers` are the first master and its replica."""

    url: str
    servers: tuple[Server, Server]
    sentinels: list[Server]

    def master_port(self) -> int:
        """Of the master that the Sentinels name: all of them the same, else 0."""
        ports = {self._named(sentinel) for sentinel in self.sentinels}
        return ports.pop() if len(ports) == 1 else 0

    def client(self, server: Server) -> redis.Redis:
        return redis.Redis(port=server.port, password=PASSWORD, socket_timeout=5)

    def wait_for(self, server: Server) -> None:
        """Until that server is the master, and all Sentinels say so."""

        def leads() -> bool:
            with self.client(server) as client:
                return self.master_port() == server.port and client.role()[0] == b"master"

        wait_until(leads, what="the failover", timeout_s=15)

    def wait_for_replica(self, server: Server) -> None:
        """Until that server has all that its master has."""

        def follows() -> bool:
            with contextlib.suppress(redis.ConnectionError), self.client(server) as client:
                return client.info("replication").get("master_link_status") == "up"
            return False

        wait_until(follows, what="the replica follows")

    def hand_over(self) -> None:
        """A failover that somebody asks for: the old master lives on, as a replica."""
        with redis.Redis(port=self.sentinels[0].port, password=SENTINEL_PASSWORD) as sentinel:
            sentinel.execute_command("SENTINEL", "FAILOVER", MASTER)

    def part(self) -> None:
        """Cut the first master off from all but its clients: replica and Sentinels go on without it."""
        first, second = self.servers
        with self.client(first) as client:
            client.config_set("min-replicas-to-write", 1)
        for sentinel in self.sentinels:
            sentinel.kill()
        with self.client(second) as client:
            client.replicaof("NO", "ONE")
        for sentinel in self.sentinels:
            _configure(Path(sentinel.command[1]), sentinel.port, second.port)
            sentinel.start()

    def _named(self, sentinel: Server) -> int:
        with redis.Redis(port=sentinel.port, password=SENTINEL_PASSWORD, socket_timeout=2) as client:
            return int(client.sentinel_get_master_addr_by_name(MASTER)[1])


@contextlib.contextmanager
def watched_redis(folder: Path) -> Iterator[Watched]:
    """Two servers and three Sentinels, which know each other."""
    locked = ("--requirepass", PASSWORD, "--masterauth", PASSWORD, "--repl-diskless-sync-delay", "0")
    with contextlib.ExitStack() as stack:
        first = stack.enter_context(redis_server(folder / "first", *locked, password=PASSWORD))
        follow = ("--replicaof", f"127.0.0.1 {first.port}")
        second = stack.enter_context(redis_server(folder / "second", *locked, *follow, password=PASSWORD))
        sentinels = [stack.enter_context(_sentinel(folder / f"sentinel-{n}", first.port)) for n in range(3)]
        places = ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in sentinels)
        query = f"sentinel_password={quote(SENTINEL_PASSWORD, safe='')}"
        url = f"redis+sentinel://:{quote(PASSWORD, safe='')}@{places}/{MASTER}/2?{query}"
        watched = Watched(url, (first, second), sentinels)
        watched.wait_for_replica(second)
        for sentinel in sentinels:
            wait_until(lambda port=sentinel.port: _knows_all(port), what="the Sentinels know each other")
        yield watched


@contextlib.contextmanager
def _sentinel(folder: Path, master_port: int) -> Iterator[Server]:
    folder.mkdir(parents=True)
    port = free_port()
    configuration = folder / "sentinel.conf"
    _configure(configuration, port, master_port)
    command = [program("redis-server"), str(configuration), "--sentinel"]
    server = Server(command, port, folder / "sentinel.log").start()
    try:
        yield server
    finally:
        server.stop()


def _configure(configuration: Path, port: int, master_port: int) -> None:
    configuration.write_text(
        f"""
port {port}
bind 127.0.0.1
dir {configuration.parent}
requirepass {SENTINEL_PASSWORD}
sentinel sentinel-pass {SENTINEL_PASSWORD}
sentinel monitor {MASTER} 127.0.0.1 {master_port} 2
sentinel auth-pass {MASTER} {PASSWORD}
sentinel down-after-milliseconds {MASTER} {DOWN_AFTER_MS}
sentinel failover-timeout {MASTER} 3000
"""
    )


def _knows_all(port: int) -> bool:
    with redis.Redis(port=port, password=SENTINEL_PASSWORD, socket_timeout=2) as client:
        state = client.sentinel_master(MASTER)
        return int(state["num-other-sentinels"]) == 2 and int(state["num-slaves"]) == 1
