"""Downloads by URL, alone or in batches, and what became of them."""

import contextlib
import json
import logging
import secrets
import tempfile
from collections.abc import Collection, Iterable, Iterator
from typing import IO, Any
from urllib.parse import urlencode

import falcon

from api.auth import caller
from api.errors import unknown_parameter
from api.paging import page_limit
from api.responses import STREAM_CHUNK_BYTES, send_accepted, send_json
from api.taskbodies import Line, batch_of, parse_download, read_lines, read_object
from api.write import send_stored
from imagestore.errors import ImagestoreError, InvalidKey, InvalidParameter, InvalidRequest, TaskConflict
from imagestore.grants import Grant
from imagestore.names import check_domain, check_id
from imagestore.query import parse_query
from imagestore.service import ImageStore
from imagestore.taskrecords import FLAGS, NewTask, TaskRecord, TaskSearch, describe_task
from imagestore.tasks import conflict

log = logging.getLogger(__name__)

LINES_AT_ONCE = 500
"""Lines of a batch that are committed together."""

ORDERS = ("oldest", "newest")
"""Which task a list begins with."""

MEMORY_BYTES = 1024 * 1024
"""Of an answer to a batch; the rest of it waits in a file."""


class _Resource:
    def __init__(self, store: ImageStore) -> None:
        self._store = store

    def _find(self, req: falcon.Request, task_id: str) -> TaskRecord:
        _parameters(req)
        task = self._store.tasks.get(check_id(task_id))
        caller(req).require_domain(task.domain)
        return task


class DownloadImage(_Resource):
    """POST `/image/download`: one URL, now (`mode=sync`) or by a task."""

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        for name in parse_query(req.query_string):
            raise unknown_parameter(name, "none, but members of the JSON body")
        wish = read_object(req)
        mode = wish.pop("mode", "async")
        if mode not in ("sync", "async"):
            raise InvalidParameter("mode", f"mode is {str(mode)[:40]!r}, expected sync or async")
        task = parse_download(wish)
        caller(req).require_domain(task.domain)
        if mode == "async":
            send_accepted(resp, self._store.tasks.submit(task, batch=batch_of(req, caller(req))))
            return
        if task.callback:
            raise InvalidParameter("callback", "callback is given with mode=sync, expected mode=async")
        send_stored(resp, self._store.workshop.runs.download_now(task))


class Tasks(_Resource):
    """`/tasks`: a page of them by GET, a batch of downloads by POST."""

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        parameters = _parameters(req, "flag", "reason", "domain", "order", "after", "limit")
        limit = page_limit(parameters.get("limit"))
        order = parameters.get("order", ORDERS[0])
        if order not in ORDERS:
            raise InvalidParameter("order", f"order is {order[:40]!r}, expected one of {', '.join(ORDERS)}")
        search = TaskSearch(
            flag=_flag(parameters),
            problem=parameters.get("reason"),
            domains=_domains(caller(req), parameters),
            after=check_id(parameters["after"], "after") if "after" in parameters else None,
            newest=order == "newest",
        )
        # One more than asked for tells whether there is a next page.
        found = self._store.tasks.page(search, limit=limit + 1)
        page = found[:limit]
        following = {**parameters, "after": str(page[-1].id)} if len(found) > limit else None
        next_page = f"{req.path}?{urlencode(following)}" if following else None
        send_json(resp, {"tasks": [describe_task(task) for task in page], "next": next_page})

    on_head = on_get

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        _parameters(req)
        batch = batch_of(req, caller(req)) or secrets.token_hex(16)
        # An answer that has begun cannot become an error any more, so it begins when all is committed.
        answer = _Answer()
        try:
            for lines in _groups(read_lines(req), LINES_AT_ONCE):
                self._take(caller(req), batch, lines, answer)
        except BaseException:
            answer.close()
            raise
        log.info("took a batch tasks=%d rejected=%d", answer.accepted, answer.rejected)
        resp.status = 202
        resp.content_type = "application/json"
        resp.set_header("Cache-Control", "no-store")
        resp.set_stream(answer.rewound(), answer.length)

    def _take(self, grant: Grant, batch: str, lines: Iterable[Line], answer: "_Answer") -> None:
        good: dict[int, NewTask] = {}
        for number, value in lines:
            try:
                if isinstance(value, ImagestoreError):
                    raise value
                task = parse_download(value)
                grant.require_domain(task.domain)
                good[number] = task
            except ImagestoreError as error:
                answer.reject(number, error.name, error.detail)
        if not good:
            return
        for taken in self._store.tasks.submit_lines(batch, good):
            if taken.differing:
                detail = conflict(taken, "this line and Idempotency-Key")
                answer.reject(taken.line, TaskConflict.name, detail)
            else:
                answer.accept(taken.line, taken.id, taken.url)


class Task(_Resource):
    """`/tasks/{id}`: how it is, by GET; its end before it began, by DELETE."""

    def on_get(self, req: falcon.Request, resp: falcon.Response, task_id: str) -> None:
        send_json(resp, describe_task(self._find(req, task_id)))

    on_head = on_get

    def on_delete(self, req: falcon.Request, resp: falcon.Response, task_id: str) -> None:
        self._store.tasks.withdraw(self._find(req, task_id).id)
        resp.status = 204


class TaskRetry(_Resource):
    """POST `/tasks/{id}/retry`."""

    def on_post(self, req: falcon.Request, resp: falcon.Response, task_id: str) -> None:
        send_accepted(resp, self._store.tasks.retry(self._find(req, task_id).id))


class TasksRetry(_Resource):
    """POST `/tasks/retry?flag=failed&reason=&domain=`: all failed tasks, or those with one reason."""

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        parameters = _parameters(req, "flag", "reason", "domain")
        if parameters.get("flag") != "failed":
            raise InvalidParameter("flag", "flag is not 'failed', and only failed tasks can be retried")
        if "domain" not in parameters:
            caller(req).require("admin")
        count = self._store.tasks.retry_all(
            problem=parameters.get("reason"), domains=_domains(caller(req), parameters)
        )
        send_json(resp, {"retried": count}, status=202)


class TasksSummary(_Resource):
    """GET `/tasks/summary`: how many there are of each flag and of each reason."""

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        parameters = _parameters(req, "domain")
        send_json(resp, self._store.tasks.summary(_domains(caller(req), parameters)))

    on_head = on_get


class Pregenerate(_Resource):
    """POST `/images/pregenerate?domain=`: a task that renders its presets, and tells its progress."""

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        parameters = _parameters(req, "domain")
        if "domain" not in parameters:
            raise InvalidKey("domain is missing, expected the one whose presets are to be rendered")
        domain = check_domain(parameters["domain"])
        caller(req).require_domain(domain)
        if not self._store.settings.presets.parameters:
            raise InvalidRequest("there are no presets to render; the setting PRESETS names them")
        task = NewTask(kind="pregenerate", domain=domain)
        send_accepted(resp, self._store.tasks.submit(task, batch=batch_of(req, caller(req))))


class _Answer:
    """`{"tasks": [...], "rejected": [...]}`, written while the batch is read; large ones to a file."""

    def __init__(self) -> None:
        self._files = contextlib.ExitStack()
        self._tasks, self._rejected = (self._files.enter_context(_open_spool()) for _ in range(2))
        self.length = self.accepted = self.rejected = 0

    def accept(self, line: int, task_id: int, url: str) -> None:
        self._add(self._tasks, {"line": line, "id": task_id, "url": url})
        self.accepted += 1

    def reject(self, line: int, problem: str, detail: str) -> None:
        self._add(self._rejected, {"line": line, "problem": problem, "detail": detail})
        self.rejected += 1

    def rewound(self) -> "_Answer":
        """Ready to be iterated, once."""
        self.length = self._tasks.tell() + self._rejected.tell() + sum(map(len, _FRAME))
        return self

    def __iter__(self) -> Iterator[bytes]:
        for frame, file in zip(_FRAME, (self._tasks, self._rejected, None), strict=True):
            yield frame
            if file is not None:
                file.seek(0)
                while chunk := file.read(STREAM_CHUNK_BYTES):
                    yield chunk

    def close(self) -> None:
        self._files.close()

    @staticmethod
    def _add(file: IO[bytes], value: dict[str, Any]) -> None:
        separator = b",\n" if file.tell() else b"\n"
        file.write(separator + json.dumps(value, ensure_ascii=False).encode())


def _open_spool() -> IO[bytes]:
    return tempfile.SpooledTemporaryFile(MEMORY_BYTES)


_FRAME = (b'{"tasks": [', b'],\n"rejected": [', b"]}\n")


def _groups(lines: Iterator[Line], size: int) -> Iterator[list[Line]]:
    group: list[Line] = []
    for line in lines:
        group.append(line)
        if len(group) == size:
            yield group
            group = []
    if group:
        yield group


def _parameters(req: falcon.Request, *known: str) -> dict[str, str]:
    parameters = parse_query(req.query_string)
    for name in parameters.keys() - set(known):
        raise unknown_parameter(name, " or ".join(known) or "none")
    return parameters


def _domains(grant: Grant, parameters: dict[str, str]) -> Collection[str]:
    """The domains that the answer is about; none of them means all."""
    if "domain" not in parameters:
        return grant.domains
    grant.require_domain(check_domain(parameters["domain"]))
    return [parameters["domain"]]


def _flag(parameters: dict[str, str]) -> str | None:
    flag = parameters.get("flag")
    if flag is not None and flag not in FLAGS:
        raise InvalidParameter("flag", f"flag is {flag[:40]!r}, expected one of {', '.join(FLAGS)}")
    return flag
