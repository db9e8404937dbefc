"""The data directory of `make run`: its lock, its sockets, the API key that a first start makes.

<DATA_DIR>/api-key    made once, readable by its owner only
<DATA_DIR>/redis/     Redis' append-only file
<DATA_DIR>/run/       sockets, lock, nginx's files; worth nothing when nothing runs
"""

import contextlib
import fcntl
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

SOCKET_PATH_BYTES = 107
"""Longest path of a unix socket: `sun_path` of unix(7) has 108 bytes, the last is NUL."""

LEFTOVERS_S = 40
"""Longest wait for the programs of a killed run: gunicorn finishes requests for up to 30 s."""


class AlreadyRunning(RuntimeError):
    """Another run holds this data directory."""


@contextlib.contextmanager
def locked(run_dir: Path) -> Iterator[int]:
    """Holds the lock of `run_dir` and gives its file descriptor.

    The programs hold it too, so that after a `kill -9` of us the next start waits for the last
    of them instead of opening their files a second time.

    Raises:
        AlreadyRunning: somebody holds it and is alive.
    """
    run_dir.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(run_dir / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _acquire(descriptor)
        os.truncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield descriptor
    finally:
        os.close(descriptor)


def _acquire(descriptor: int) -> None:
    deadline = time.monotonic() + LEFTOVERS_S
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            owner = os.pread(descriptor, 20, 0).decode()
            if time.monotonic() > deadline or (owner and Path("/proc", owner).exists()):
                raise AlreadyRunning(f"process {owner} runs on it already") from error
        time.sleep(0.1)


@contextlib.contextmanager
def sockets(run_dir: Path, names: tuple[str, ...]) -> Iterator[Path]:
    """A folder whose unix sockets of these names can be bound; none of them is there.

    It is `run_dir`, or a temporary folder when paths in there are too long for a socket.
    """
    too_long = any(len(os.fsencode(run_dir / name)) > SOCKET_PATH_BYTES for name in names)
    folder = Path(tempfile.mkdtemp(prefix="imagestore-")) if too_long else run_dir
    try:
        _unlink(folder, names)
        yield folder
    finally:
        _unlink(folder, names)
        if too_long:
            folder.rmdir()


def _unlink(folder: Path, names: tuple[str, ...]) -> None:
    for name in names:
        (folder / name).unlink(missing_ok=True)


def emptied(folder: Path) -> Path:
    """`folder`, there and empty."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def made_secret(path: Path) -> str:
    """The secret in `path`; the first time it is made, whole or not at all, readable by its owner only."""
    if not path.is_file():
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
        with open(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(32) + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.rename(name, path)
    return path.read_text().strip()
