"""`imagestore export`: a domain's pictures as files, and what is known of them as JSON lines."""

import hashlib
import json
import os
import signal
from collections import Counter, deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

import click

from imagestore.client import Busy, Client, Image, NotAllowed, Refused, Unreachable
from imagestore.commands import OK, PROBLEMS, STOPPED
from imagestore.commands.filenames import fallback_of, path_of
from imagestore.commands.options import works_on_server
from imagestore.commands.output import Output, Progress
from imagestore.names import check_domain, check_prefix

RECORDS = "records.jsonl"
FILES = "files"
PARTIAL = "%part"
"""End of a file's name while it is on its way; no dkey's own path ends so (`filenames`)."""

FETCH_PATIENCE_S = 2
"""For one picture that the server cannot give; then it is asked whether it is well otherwise."""


@dataclass(frozen=True, slots=True)
class Exported:
    """One picture and where it is now; `problem` when it is not."""

    image: Image
    file: PurePosixPath
    state: str
    """`fetched`, `present` or `failed`."""
    problem: str = ""


@click.command()
@click.argument("domain")
@click.argument("folder", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
@click.option("--prefix", default="", help="Only pictures whose dkey begins like that.")
@click.option(
    "--jobs", type=click.IntRange(1, 64), default=4, show_default=True, help="Files fetched at once."
)
@works_on_server
def command(client: Client, out: Output, domain: str, folder: Path, prefix: str, jobs: int) -> int:
    """Write the pictures of DOMAIN to DIR/files, and what is known of each to DIR/records.jsonl.

    Every file is checked against its sha256. Files that are there and right are not fetched again, so that
    the same command goes on after a break, and later fetches what is new or was replaced. `import
    DIR/records.jsonl` is the way back.
    """
    images = client.images(check_domain(domain), check_prefix(prefix) if prefix else "")
    (folder / FILES).mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    tally: Counter[str] = Counter()
    partial = folder / f"{RECORDS}{PARTIAL}"
    stopped = False
    with partial.open("w", encoding="utf-8") as records, out.progress("export") as progress:
        try:
            for exported in _in_order(client, images, folder / FILES, jobs):
                tally[exported.state] += 1
                _note(exported, records, out, progress)
        except KeyboardInterrupt:
            stopped = True
        records.flush()
        os.fsync(records.fileno())
    if not stopped:
        partial.replace(folder / RECORDS)
    out.record({"fetched": tally["fetched"], "present": tally["present"], "failed": tally["failed"]})
    if stopped:
        out.hint("stopped; the same command goes on")
        return STOPPED
    if not tally:
        beginning = f" that begin with {prefix!r}" if prefix else ""
        out.hint(f"the domain {domain!r} has no pictures{beginning}")
    return PROBLEMS if tally["failed"] else OK


def _note(exported: Exported, records: IO[str], out: Output, progress: Progress) -> None:
    progress.advance(failed=exported.state == "failed")
    if exported.state == "failed":
        out.hint(f"{exported.image.domain}/{exported.image.dkey}: {exported.problem}")
        return
    record = {"file": f"{FILES}/{exported.file}", **exported.image.described}
    records.write(json.dumps(record, ensure_ascii=False) + "\n")


def _in_order(client: Client, images: Iterator[Image], folder: Path, jobs: int) -> Iterator[Exported]:
    """Fetch several at once; the outcomes come in the order of the pictures."""
    running: deque[Future[Exported]] = deque()
    pool = ThreadPoolExecutor(jobs, thread_name_prefix="export")
    try:
        for image in images:
            running.append(pool.submit(_export, client, image, folder, _place(image, folder)))
            if len(running) > 4 * jobs:
                yield running.popleft().result()
        while running:
            yield running.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _place(image: Image, folder: Path) -> PurePosixPath:
    """The file's path, where an empty file is now unless there was one.

    It is made here, in the order of dkeys, so that of `a` and `a/b` it is always the second that has
    to go somewhere else.
    """
    path = path_of(image.dkey, format=image.format)
    try:
        _make_room(folder, path)
    except (FileExistsError, NotADirectoryError, IsADirectoryError):
        path = fallback_of(image.dkey, format=image.format)
        _make_room(folder, path)
    return path


def _make_room(folder: Path, path: PurePosixPath) -> None:
    target = folder / path
    target.parent.mkdir(parents=True, exist_ok=True)
    # Nothing in a dkey leads out of the folder; a symbolic link that somebody put into it would.
    if not target.parent.resolve().is_relative_to(folder.resolve()) or target.is_symlink():
        raise FileExistsError(f"{target} leads out of {folder}")
    target.open("ab").close()


def _export(client: Client, image: Image, folder: Path, path: PurePosixPath) -> Exported:
    target = folder / path
    if _holds(target, image):
        return Exported(image, path, "present")
    for last_try in (False, True):
        try:
            _fetch(client, image, target)
            return Exported(image, path, "fetched")
        except (Busy, Unreachable) as error:
            if last_try:
                problem = error.detail
            else:
                client.health()  # Waits for a server that is away; if it is not, this picture is.
        except Refused as error:
            if isinstance(error, NotAllowed):
                raise
            problem = error.detail
            break
    if target.stat().st_size == 0:
        target.unlink()
    return Exported(image, path, "failed", problem)


def _holds(target: Path, image: Image) -> bool:
    """Whether the file has these very bytes."""
    if target.stat().st_size != image.size:
        return False
    with target.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == image.sha256


def _fetch(client: Client, image: Image, target: Path) -> None:
    """Write the picture's bytes, under its name when they are whole and right.

    Raises:
        Unreachable: they are not.
        ServerProblem: the server has none.
    """
    partial = target.with_name(f"{target.name}{PARTIAL}")
    digest = hashlib.sha256()
    try:
        # By its sum: exactly these bytes, also when the picture is replaced at this moment.
        reading = client.open(image.sha256, patience_s=FETCH_PATIENCE_S)
        with reading as answer, partial.open("wb") as file:
            for chunk in answer.chunks:
                digest.update(chunk)
                file.write(chunk)
        if digest.hexdigest() != image.sha256:
            raise Unreachable("the server gave other bytes than its record says")
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
