"""The routes of downloads and tasks."""

from typing import Any

from api.openapi.images import REJECTED
from api.openapi.words import answer, json_body, json_of, operation, parameter, ref, refs, with_head
from imagestore.names import DOMAIN_SCHEMA, ID_SCHEMA
from imagestore.taskrecords import FLAGS

_ACCEPTED = {"202": answer("It will be done.", json_of(ref("Task")), "Location")}
_NAMED = refs("parameters", "task_id")
_FLAG = parameter("flag", {"type": "string", "enum": list(FLAGS)}, "Only with this flag.")
_REASON = parameter("reason", {"type": "string"}, "Only those that ended with this problem.")
_BATCH = {"type": "array", "items": ref("Download")}
_LINES = {"schema": {"type": "string", "description": "A `Download` as JSON on each line."}}

PATHS: dict[str, Any] = {
    "/image/download": {
        "post": operation(
            "downloadImage",
            "Fetch a URL and store its picture",
            "Tasks",
            right="write",
            parameters=refs("parameters", "Idempotency-Key"),
            body=json_body(ref("DownloadNow")),
            answers={
                **_ACCEPTED,
                "200": answer("mode=sync: it was there.", json_of(ref("Image")), "ETag"),
                "201": answer("mode=sync: it is new.", json_of(ref("Image")), "ETag", "Location"),
            },
            problems=(
                *REJECTED,
                *("invalid-parameter", "invalid-key", "invalid-url", "fetch-target-forbidden"),
                *("fetch-failed", "key-conflict", "task-conflict"),
            ),
        )
    },
    "/tasks": {
        **with_head(
            operation(
                "listTasks",
                "A page of tasks",
                "Tasks",
                right="read",
                parameters=[
                    *(_FLAG, _REASON),
                    *refs("parameters", "of_domain"),
                    parameter(
                        "order",
                        {"type": "string", "enum": ["oldest", "newest"], "default": "oldest"},
                        "Which come first.",
                    ),
                    parameter("after", ID_SCHEMA, "The id of the last task seen."),
                    *refs("parameters", "limit"),
                ],
                answers={"200": answer("The page.", json_of(ref("TaskPage")))},
                problems=("invalid-parameter", "invalid-key"),
            )
        ),
        "post": operation(
            "createTasks",
            "Fetch many URLs",
            "Tasks",
            description="Good lines are taken, bad ones are told by line.",
            right="write",
            parameters=refs("parameters", "Idempotency-Key"),
            body={
                "required": True,
                "content": {
                    "application/json": {"schema": _BATCH},
                    "application/x-ndjson": _LINES,
                    "application/ndjson": _LINES,
                    "application/jsonl": _LINES,
                },
            },
            answers={"202": answer("What became of each line.", json_of(ref("BatchTaken")))},
            problems=("payload-too-large", "unsupported-media-type", "insufficient-storage"),
        ),
    },
    "/tasks/summary": with_head(
        operation(
            "summarizeTasks",
            "How many tasks there are, by flag and reason",
            "Tasks",
            right="read",
            parameters=refs("parameters", "of_domain"),
            answers={"200": answer("The numbers.", json_of(ref("TaskSummary")))},
            problems=("invalid-key",),
        )
    ),
    "/tasks/retry": {
        "post": operation(
            "retryTasks",
            "Let failed tasks start over",
            "Tasks",
            right="write",
            parameters=[
                parameter("flag", {"type": "string", "enum": ["failed"]}, "Only these can.", required=True),
                _REASON,
                *refs("parameters", "of_domain"),
            ],
            answers={"202": answer("How many do.", json_of(ref("Retried")))},
            problems=("invalid-parameter", "invalid-key"),
        )
    },
    "/tasks/{task_id}": {
        **with_head(
            operation(
                "getTask",
                "A task",
                "Tasks",
                right="read",
                parameters=_NAMED,
                answers={"200": answer("As it is now.", json_of(ref("Task")))},
                problems=("invalid-parameter", "task-not-found"),
            )
        ),
        "delete": operation(
            "withdrawTask",
            "Take a waiting task back",
            "Tasks",
            right="write",
            parameters=_NAMED,
            answers={"204": answer("It is gone.")},
            problems=("invalid-parameter", "task-not-found", "task-conflict"),
        ),
    },
    "/tasks/{task_id}/retry": {
        "post": operation(
            "retryTask",
            "Let a failed task start over",
            "Tasks",
            right="write",
            parameters=_NAMED,
            answers=_ACCEPTED,
            problems=("invalid-parameter", "task-not-found", "task-conflict"),
        )
    },
    "/images/pregenerate": {
        "post": operation(
            "pregenerate",
            "Render the presets of a whole domain",
            "Tasks",
            right="write",
            parameters=[
                parameter("domain", DOMAIN_SCHEMA, "The domain.", required=True),
                *refs("parameters", "Idempotency-Key"),
            ],
            answers=_ACCEPTED,
            problems=("invalid-key", "task-conflict", "insufficient-storage"),
        )
    },
}
