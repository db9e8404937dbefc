"""What descriptions of routes are made of: operations, parameters, bodies, answers, problems."""

from collections.abc import Iterable, Mapping
from typing import Any

from api.errors import PROBLEMS
from imagestore.grants import Right
from imagestore.signing import PARAMETERS

Schema = Mapping[str, Any]

ALWAYS = (
    *("invalid-request", "uri-too-long", "headers-too-large", "rate-limited"),
    *("internal-error", "overloaded", "database-unavailable", "storage-unavailable"),
)
"""Problems that any route may answer with."""

KEYED = ("unauthenticated", "forbidden")
"""Problems of routes that need an API key."""

SIGNED = ("signature-invalid", "signature-expired")
"""Problems of routes that a domain may open to signed URLs only."""

MEMBERS = {"invalid-parameter": {"parameter": "width"}, "fetch-failed": {"reason": "http-404"}}
"""What some problems have besides."""

DETAILS = {
    "invalid-request": "parameter 'size' is unknown here, expected domain, prefix, after or limit",
    "invalid-parameter": "width is '0', expected an integer from 1 to 4096",
    "invalid-key": "domain is 'Demo', expected 1 to 16 of a-z 0-9 . _ -",
    "invalid-url": "the URL has user information, expected none",
    "image-not-found": "no image has id 17",
    "task-not-found": "no task has id 17",
    "key-conflict": "demo/a.jpg holds another picture, and overwrite=1 is not given",
    "task-conflict": "task 17 is 'succeed', expected one that is 'failed'",
    "forbidden": "this API key may not write in domain 'dogs'",
}
"""The `detail` of a problem's example, where the title alone would tell too little."""


def operation(
    operation_id: str,
    summary: str,
    tag: str,
    *,
    answers: Mapping[str, Any],
    parameters: Iterable[Schema] = (),
    body: Schema | None = None,
    problems: Iterable[str] = (),
    right: Right | None = None,
    signed: bool = False,
    description: str = "",
) -> dict[str, Any]:
    """One method of one route. It needs an API key with that `right`; or its URL may have to be `signed`.
    `problems` come on top of ALWAYS."""
    names = (*ALWAYS, *(KEYED if right else ()), *(SIGNED if signed else ()), *problems)
    described: dict[str, Any] = {
        "operationId": operation_id,
        "summary": summary,
        "tags": [tag],
        "parameters": [*parameters, *(refs("parameters", *PARAMETERS) if signed else ())],
        "responses": _with_problems(answers, names),
        "security": [{"apiKey": [right]}] if right else [],
    }
    if description:
        described["description"] = description
    if body is not None:
        described["requestBody"] = body
    return described


def with_head(get: dict[str, Any]) -> dict[str, Any]:
    """A GET, and the HEAD that answers the same without a body."""
    bare = {
        status: {name: value for name, value in answer.items() if name != "content"}
        for status, answer in get["responses"].items()
    }
    return {"get": get, "head": {**get, "operationId": f"{get['operationId']}Head", "responses": bare}}


def parameter(
    name: str, schema: Schema, description: str, *, where: str = "query", required: bool = False
) -> dict[str, Any]:
    """A parameter of the query (or of `where`: path, header)."""
    described = {"name": name, "in": where, "description": description, "schema": dict(schema)}
    return {**described, "required": True} if required or where == "path" else described


def ref(name: str, kind: str = "schemas") -> dict[str, Any]:
    """A pointer to a component."""
    return {"$ref": f"#/components/{kind}/{name}"}


def refs(kind: str, *names: str) -> list[dict[str, Any]]:
    """Pointers to several components."""
    return [ref(name, kind) for name in names]


def json_of(schema: Schema) -> dict[str, Any]:
    """JSON content of that schema."""
    return {"application/json": {"schema": dict(schema)}}


def json_body(schema: Schema, *media_types: str) -> dict[str, Any]:
    """A request body of JSON, also under other names for it."""
    content = {"schema": dict(schema)}
    return {"required": True, "content": dict.fromkeys(("application/json", *media_types), content)}


def answer(description: str, content: Mapping[str, Any] | None = None, *headers: str) -> dict[str, Any]:
    """An answer that is no problem; `headers` are names of components."""
    described: dict[str, Any] = {"description": description}
    if content is not None:
        described["content"] = dict(content)
    if headers:
        described["headers"] = {name: ref(name, "headers") for name in headers}
    return described


def problem_examples() -> dict[str, Any]:
    """Each problem as it is answered, by name."""
    return {name: {"summary": title, "value": _example(name)} for name, (_, title) in PROBLEMS.items()}


def _example(name: str) -> dict[str, Any]:
    status, title = PROBLEMS[name]
    detail = DETAILS.get(name, title[0].lower() + title[1:])
    example = {"type": f"/problems/{name}", "title": title, "status": status, "detail": detail}
    example["instance"] = "5b0a6f1d8e0c4a8f9b7e21d6c3f4a590"
    return {**example, **MEMBERS.get(name, {})}


def _with_problems(answers: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    by_status: dict[int, list[str]] = {}
    for name in dict.fromkeys(names):
        by_status.setdefault(PROBLEMS[name][0], []).append(name)
    responses = dict(answers)
    for status in sorted(by_status):
        problem, own = _problem(status, by_status[status]), answers.get(str(status))
        if own is not None:
            problem["content"] |= own["content"]
        responses[str(status)] = problem
    return responses


def _problem(status: int, names: list[str]) -> dict[str, Any]:
    examples = {name: ref(name, "examples") for name in names}
    described = answer(
        "; ".join(f"`{name}`: {PROBLEMS[name][1].lower()}" for name in names),
        {"application/problem+json": {"schema": ref("Problem"), "examples": examples}},
        "X-Request-Id",
    )
    extra = {401: "WWW-Authenticate", 405: "Allow", 429: "Retry-After", 503: "Retry-After"}.get(status)
    if extra:
        described["headers"][extra] = ref(extra, "headers")
    return described
