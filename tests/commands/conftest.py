import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from imagestore.client import Client
from tests.imagestack import API_KEY, ImageStack, image_stack
from tests.origin import Origin, origin
from tests.servers import ROOT


@dataclass
class Served:
    """A whole stack with nginx and a worker, a client of it, and a web server that it may fetch from.

    `env` is that of its servers, and tells a command where they are.
    """

    stack: ImageStack
    client: Client
    origin: Origin
    env: dict[str, str]


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One for all tests that break nothing."""
    folder = tmp_path_factory.mktemp("served")
    with origin() as pictures, image_stack(folder, FETCH_ALLOW=pictures.service) as stack:
        env = {
            "DATA_DIR": str(folder / "data"),
            "REDIS_URL": f"redis://127.0.0.1:{stack.redis.port}/0",
            "API_KEY": API_KEY,
            "IMAGESTORE_SERVER": stack.address,
            "FETCH_ALLOW": pictures.service,
            "TASK_RETRY_S": "0.03",
        }
        with (folder / "worker.log").open("wb") as log:
            worker = subprocess.Popen(
                [sys.executable, "-m", "worker"],
                cwd=ROOT,
                env={"PATH": os.environ["PATH"], "WORKER_PROCESSES": "2", **env},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        try:
            with Client(stack.address, API_KEY) as client:
                yield Served(stack, client, pictures, env)
        finally:
            worker.terminate()
            worker.wait(40)


@pytest.fixture
def around(served: Served, monkeypatch: pytest.MonkeyPatch) -> Served:
    """The same, and its environment for the commands of the test."""
    for name, value in served.env.items():
        monkeypatch.setenv(name, value)
    return served
