"""The container stack under a project name of its own: the shipped compose.yaml, on a free port."""

import contextlib
import itertools
import json
import os
import secrets
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.servers import ROOT, free_port, wait_until

SERVICES = ("api", "dashboard", "db", "nginx", "redis", "worker")
ONE_SHOTS = ("migrate", "setup")
IMAGES = ("imagestore-app:{tag}", "imagestore-nginx:{tag}")
LOGS = ROOT / "build" / "stack-logs"


@dataclass
class Containers:
    """A project of Docker Compose. `http` speaks to its public port without a key, `writer` with one."""

    project: str
    port: int
    more_files: list[Path] = field(default_factory=list)
    variables: dict[str, str] = field(default_factory=dict)
    """Knobs of compose.yaml that differ from its defaults, from the next `up` on."""
    _clients: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def images(self) -> list[str]:
        return [image.format(tag=self.project) for image in IMAGES]

    def compose(self, *arguments: str, timeout_s: float = 300) -> str:
        """`docker compose` with these arguments; its standard output.

        Raises:
            RuntimeError: it failed; with what it said.
        """
        files = os.environ.get("COMPOSE_FILE") or str(ROOT / "compose.yaml")
        variables = {
            "COMPOSE_PROJECT_NAME": self.project,
            "COMPOSE_FILE": os.pathsep.join([files, *map(str, self.more_files)]),
            "PORT": str(self.port),
            "TAG": self.project,
            **self.variables,
        }
        return docker("compose", *arguments, timeout_s=timeout_s, env=variables)

    def up(self, *arguments: str) -> None:
        """Start everything and wait until all of it is healthy."""
        self.compose("up", "--detach", "--wait", *arguments, timeout_s=600)
        key = self.read("api", "/secrets/api/key")
        self._clients.close()
        self.http = self._clients.enter_context(httpx.Client(base_url=self.address, timeout=30))
        headers = {"Authorization": f"Bearer {key}"}
        self.writer = self._clients.enter_context(
            httpx.Client(base_url=self.address, timeout=60, headers=headers)
        )

    def read(self, service: str, path: str) -> str:
        """What a file of a container holds."""
        return self.compose("exec", "-T", service, "cat", path).strip()

    def secrets(self) -> dict[str, str]:
        """Every secret that the first start made."""
        login = self.read("dashboard", "/secrets/dashboard/login")
        return {
            "database": self.read("api", "/secrets/database/password"),
            "root": self.read("db", "/secrets/database/root-password"),
            "redis": self.read("redis", "/secrets/redis/password"),
            "api": self.read("api", "/secrets/api/key"),
            "dashboard": login.partition(":")[2],
        }

    def containers(self, *services: str) -> list[dict[str, Any]]:
        """`docker inspect` of every container, or of those of some services, ended ones too."""
        ids = self.compose("ps", "--all", "--quiet", *services).split()
        return list(json.loads(docker("inspect", *ids)))

    def gateway(self) -> str:
        """This machine's own address in the network `front`."""
        (network,) = json.loads(docker("network", "inspect", f"{self.project}_front"))
        return str(network["IPAM"]["Config"][0]["Gateway"])

    def at_address(self, service: str, address: str) -> str:
        """The name of the replica that has this address in the network `front`."""
        (name,) = (
            str(container["Name"]).lstrip("/")
            for container in self.containers(service)
            if container["NetworkSettings"]["Networks"][f"{self.project}_front"]["IPAddress"] == address
        )
        return name

    def kill(self, *names: str) -> None:
        """SIGKILL to containers, by their names; Docker does not start them again by itself."""
        docker("kill", "--signal", "SIGKILL", *names)

    def unhealthy(self) -> list[str]:
        """The containers that should run and are not healthy."""
        return [
            container["Name"]
            for container in self.containers(*SERVICES)
            if container["State"].get("Health", {}).get("Status") != "healthy"
        ]

    def wait_healthy(self) -> None:
        wait_until(lambda: not self.unhealthy(), what="everything is healthy", timeout_s=120)

    def renders(self) -> list[float]:
        """How many pictures each replica of the API has rendered or inspected."""
        ask = "from urllib.request import urlopen; print(urlopen('http://127.0.0.1:8000/metrics').read().decode())"
        sums = []
        for container in self.containers("api"):
            text = docker("exec", container["Id"], "python3", "-c", ask)
            lines = [line for line in text.splitlines() if line.startswith("imagestore_renders_total")]
            sums.append(sum(float(line.rsplit(" ", 1)[1]) for line in lines))
        return sums

    def keep_logs(self) -> None:
        """Write what every container said where a person finds it after a failure."""
        LOGS.mkdir(parents=True, exist_ok=True)
        (LOGS / "ps.txt").write_text(self.compose("ps", "--all"))
        for service in (*SERVICES, *ONE_SHOTS):
            (LOGS / f"{service}.log").write_text(self.compose("logs", "--no-color", "--timestamps", service))

    def remove(self) -> None:
        """Everything of the project: containers, networks, volumes, images."""
        self._clients.close()
        self.compose("down", "--volumes", "--remove-orphans", "--timeout", "5")
        more = ("imagestore-s3", "imagestore-standin/prometheus")
        for image in [*self.images, *(f"{name}:{self.project}" for name in more)]:
            with contextlib.suppress(RuntimeError):
                docker("image", "rm", image)


def overlay(name: str) -> list[Path]:
    """An override file of the repository, and what stands in for its images where stand-ins are used."""
    standin = ROOT / "dev" / "standins" / name
    return [ROOT / name, *([standin] if "standins" in os.environ.get("COMPOSE_FILE", "") else [])]


def docker(*arguments: str, timeout_s: float = 120, env: dict[str, str] | None = None) -> str:
    """The standard output of one `docker` command.

    Raises:
        RuntimeError: it failed; with what it said.
    """
    done = subprocess.run(
        ["docker", *arguments],
        cwd=ROOT,
        env={**os.environ, **(env or {})},
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(
            f"docker {' '.join(arguments[:3])} failed: {done.stdout[-2000:]}{done.stderr[-4000:]}"
        )
    return done.stdout


_numbers = itertools.count(1)


@contextlib.contextmanager
def container_stack(
    *more_files: Path, keep_logs: Callable[[], object] = lambda: False
) -> Iterator[Containers]:
    """A running stack, built from this checkout; everything of it is gone after the block.

    `more_files` are laid over compose.yaml; `keep_logs` is asked at the end whether the logs are
    worth keeping also when the block itself did not fail.
    """
    project = f"imagestore-test-{next(_numbers)}-{secrets.token_hex(3)}"
    stack = Containers(project, free_port(), list(more_files))
    try:
        # The tag is new, so this builds, from the engine's cache where nothing changed.
        stack.compose("build", timeout_s=900)
        stack.up()
        yield stack
    except BaseException:
        stack.keep_logs()
        raise
    finally:
        if keep_logs():
            stack.keep_logs()
        stack.remove()
