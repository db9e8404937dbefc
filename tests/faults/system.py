"""The stack that is broken: nginx, two API processes, two workers, Redis with AOF, MariaDB, and originals
in a folder or on S3."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.faketime import set_clock, start_with_clock
from tests.faults.s3proxy import S3Proxy, s3_proxy
from tests.imagestack import ImageStack, image_stack
from tests.mariadb import MariaDB
from tests.origin import Origin, origin
from tests.servers import Server
from tests.swift import make_bucket, s3_server, storage_url
from tests.taskstack import TaskStack

CLOCK = Path(__file__).parent / "clock"
"""Holds a module that lets Python follow a clock file too."""

TMPFS = {"originals": "data/originals", "spool": "data/spool", "redis": "redis"}
"""Disks of their own, so that each can be full alone."""

TMPFS_SIZE = "96m"


BUGS = ("a bug", "lua entry thread aborted", "runtime error")
"""In a log: an error that the program did not expect."""


@dataclass
class System:
    """A running stack and handles on all of its parts."""

    folder: Path
    images: ImageStack
    tasks: TaskStack
    database: Server
    origin: Origin
    store: str
    """STORAGE_URL, past any proxy, for the check at the end."""
    s3: S3Proxy | None = None
    disks: dict[str, Path] = field(default_factory=dict)
    clock: Path | None = None
    """How many seconds the wall clocks of nginx, API and workers are wrong, such as `+3600`."""

    def bugs(self) -> list[str]:
        """What the programs themselves logged as such."""
        found = []
        for name in ("api.log", "worker.log", "nginx/nginx.log"):
            lines = (self.folder / name).read_text(errors="replace").splitlines()
            for at, line in enumerate(lines):
                if any(words in line for words in BUGS):
                    found.append("\n".join([f"{name}:{at + 1}", *lines[at : at + 60]])[:6000])
        return found

    def start_workers(self) -> None:
        """Two `python -m worker`, or as many as are missing."""
        while len(self.tasks.workers) < 2:
            self.tasks.start_worker()


@contextlib.contextmanager
def system(
    folder: Path,
    mariadb: MariaDB,
    *,
    s3: bool = False,
    disks: bool = False,
    clock: bool = False,
    **settings: str,
) -> Iterator[System]:
    """A ready system under `folder`; with its originals on S3, on small disks, with a clock to be set."""
    env = {"WORKER_PROCESSES": "1", "TASK_LEASE_S": "5", "TASK_RETRY_S": "0.5", "FETCH_RATE_PER_HOST": "1000"}
    env |= settings
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(origin())
        env["FETCH_ALLOW"] = server.service
        env["DATABASE_URL"] = mariadb.url(stack.enter_context(mariadb.database()))
        store, proxy = str(folder / "data" / "originals"), None
        if s3:
            swift = stack.enter_context(s3_server(folder / "s3"))
            make_bucket(swift, "originals")
            store = storage_url(swift, "originals")
            proxy = stack.enter_context(s3_proxy(swift.port))
            env["STORAGE_URL"] = store.replace(f":{swift.port}?", f":{proxy.port}?").replace(
                f"127.0.0.1:{swift.port}", f"127.0.0.1:{proxy.port}"
            )
        mounted = {}
        if disks:
            mounted = {name: stack.enter_context(_tmpfs(folder / place)) for name, place in TMPFS.items()}
        wrong = folder / "clock" if clock else None
        if wrong:
            folder.mkdir(parents=True, exist_ok=True)
            set_clock(wrong, 0)
            env |= {"PYTHONPATH": str(CLOCK), "CLOCK_FILE": str(wrong)}
        images = stack.enter_context(image_stack(folder, **env))
        if wrong:
            start_with_clock(images.nginx, wrong)
            images.wait_ready()
        tasks = TaskStack(folder, images.env, images.redis, images.writer)
        whole = System(folder, images, tasks, mariadb.server, server, store, proxy, mounted, wrong)
        whole.start_workers()
        try:
            yield whole
        finally:
            for worker in list(tasks.workers):
                tasks.kill_worker(worker)


@contextlib.contextmanager
def _tmpfs(folder: Path) -> Iterator[Path]:
    """A small disk. Only root may mount one."""
    folder.mkdir(parents=True)
    if os.geteuid() != 0 and not os.environ.get("CI"):
        pytest.skip("only root can mount a small disk")
    mount = shutil.which("mount", path="/usr/bin:/bin:/usr/sbin:/sbin") or "mount"
    subprocess.run([mount, "-t", "tmpfs", "-o", f"size={TMPFS_SIZE}", "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        # Lazily, since a process that is just ending may still have a file open there.
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
