"""The comparison at the end: everything that was acknowledged against everything that is there."""

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx

from imagestore.errors import ImagestoreError
from imagestore.storage import open_storage
from tests.faults.ledger import Ledger, Name, content, digests
from tests.faults.system import System
from tests.servers import wait_until

TASKS_END_S = 90


@dataclass(frozen=True)
class Loss:
    """A promise that was not kept: when it was given (`time.monotonic`), and what is there instead."""

    given: float
    what: str


def losses(system: System, ledger: Ledger) -> list[Loss]:
    """Every acknowledged write and every accepted task that is not as was promised; rows without files."""
    http = system.images.writer
    found = list(_tasks(http, ledger))
    with ThreadPoolExecutor(4) as clients:
        for bad in clients.map(lambda name: list(_name(http, name)), ledger.names):
            found += bad
    found += _rows_without_files(http, system)
    return found


def _tasks(http: httpx.Client, ledger: Ledger) -> Iterator[Loss]:
    wait_until(
        lambda: http.get("/tasks/summary").json()["flags"]["created"] == 0,
        what="the end of all tasks",
        timeout_s=TASKS_END_S,
    )
    for task_id, (domain, dkey, number, accepted) in ledger.tasks.items():
        answer = http.get(f"/tasks/{task_id}")
        task = answer.json()
        if answer.status_code != 200 or task["flag"] not in ("succeed", "warning"):
            yield Loss(accepted, f"task {task_id}: {answer.status_code} {task.get('flag_ext', task)}")
        elif http.get(f"/{domain}/{dkey}").content != content(number):
            yield Loss(accepted, f"task {task_id} has ended, and its picture is not there")


def _name(http: httpx.Client, name: Name) -> Iterator[Loss]:
    """By name, by id, and by both sums; what it held before is gone by sum too."""
    possible = [name.holds, *name.or_else]
    there = _number_there(http.get(name.path), possible)
    if there == "other":
        yield Loss(name.settled, f"{name.path} holds something else, expected one of {possible}")
        return
    if name.image_id is not None:
        by_id = _number_there(http.get(f"/image/read?id={name.image_id}"), possible)
        if by_id != there:
            yield Loss(name.settled, f"{name.path} holds {there}, and by its id {by_id}")
    for number in {*possible, *name.past} - {None}:
        assert number is not None
        for digest in digests(number):
            answer = http.get(f"/image/read?sum={digest}")
            fine = answer.content == content(number) if number == there else answer.status_code == 404
            if not fine:
                yield Loss(name.settled, f"{name.path} holds {there}; sum of {number}: {answer.status_code}")


def _number_there(answer: httpx.Response, possible: list[int | None]) -> int | str | None:
    if answer.status_code == 404 and None in possible:
        return None
    for number in possible:
        if answer.status_code == 200 and number is not None and answer.content == content(number):
            return number
    return "other"


def _rows_without_files(http: httpx.Client, system: System) -> Iterator[Loss]:
    storage = open_storage(system.store, spool_dir=Path(system.folder) / "check")
    page = "/images?limit=1000"
    while page:
        answer = http.get(page).raise_for_status().json()
        for image in answer["images"]:
            sha256 = image["sha256"]
            try:
                with storage.read(sha256) as original:
                    whole = hashlib.sha256(original.read()).hexdigest() == sha256
            except ImagestoreError:
                whole = False
            if not whole:
                yield Loss(0.0, f"row {image['id']} has no whole file")
        page = answer["next"]
    storage.close()
