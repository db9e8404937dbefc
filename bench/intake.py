"""The least that an upload can cost in Python: nginx writes the body into a file, and a WSGI application
behind gunicorn hashes that file, has it on disk for sure, and gives it a name. It looks at nothing, notes
nothing, and knows nobody.
"""

import contextlib
import hashlib
import itertools
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from bench.webserver import static_server
from tests.servers import Server, free_port

FOLDER = "INTAKE_FOLDER"
"""Environment variable: where files end."""

BLOCK_BYTES = 1 << 18

_numbers = itertools.count()


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Both hashes of the project, one sync of the file and one of its folder."""
    folder, source = Path(os.environ[FOLDER]), environ["HTTP_X_BODY_FILE"]
    md5, sha256 = hashlib.md5(usedforsecurity=False), hashlib.sha256()
    with open(source, "rb") as body:
        while block := body.read(BLOCK_BYTES):
            md5.update(block)
            sha256.update(block)
        os.fsync(body.fileno())
    os.rename(source, folder / f"{sha256.hexdigest()}-{os.getpid()}-{next(_numbers)}")
    entry = os.open(folder, os.O_RDONLY)
    os.fsync(entry)
    os.close(entry)
    answer = md5.hexdigest().encode()
    start_response("201 Created", [("Content-Length", str(len(answer)))])
    return [answer]


@contextlib.contextmanager
def intake(folder: Path) -> Iterator[Server]:
    """nginx in front of it, on files below `folder`; two processes of eight threads, as the API has them."""
    there = folder / "there"
    there.mkdir(parents=True)
    port = free_port()
    options = ["--workers", "2", "--worker-class", "gthread", "--threads", "8", "--log-level", "error"]
    command = [sys.executable, "-m", "gunicorn", *options, "--bind", f"127.0.0.1:{port}"]
    server = Server([*command, "bench.intake:application"], port, folder / "log", env={FOLDER: str(there)})
    server.start()
    try:
        with static_server(folder / "nginx", folder, handed_to=server.port) as front:
            yield front
    finally:
        server.stop()
