"""Every answer of the tests, judged by the OpenAPI document: what is not described fails the test.

And every request that was granted: what it asked with must be described too. Objects are judged
strictly (no member that the document does not name), so that the document cannot fall behind.
"""

import copy
import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any
from urllib.parse import parse_qsl, unquote

import httpx
from jsonschema import Draft202012Validator, FormatChecker

from api.openapi import document

BODY_HAS_NO_TYPE = ("", "application/x-www-form-urlencoded")
"""A raw picture may come like this too, which OpenAPI cannot say (the second is curl's word for any data)."""


def judge(response: httpx.Response) -> None:
    """Fail if the document does not know this answer, or the request that was granted by it.

    For `event_hooks={"response": [judge]}` of an httpx client.
    """
    response.read()
    request = response.request
    path = request.url.raw_path.decode("ascii").partition("?")[0]
    judge_exchange(
        request.method,
        path,
        request.url.query.decode("ascii"),
        request.headers,
        request_body(request),
        response,
    )


def judge_exchange(
    method: str,
    path: str,
    query: str,
    headers: Mapping[str, str],
    body: bytes | None,
    response: httpx.Response,
) -> None:
    """The same for an exchange in parts; `path` and `query` as they were sent, `body` None if not at hand."""
    if method == "OPTIONS":
        # The framework's own answer, with Allow.
        return
    told = f"{method} {path} -> {response.status_code}"
    operation, named = find(method, path)
    if operation is None:
        _judge_problem(response, told)
        return
    _judge_answer(response, operation, told, is_head=method == "HEAD")
    if response.status_code < 300:
        _judge_request(operation, named, query, headers, body, told)


def find(method: str, path: str) -> tuple[dict[str, Any] | None, dict[str, str]]:
    """The operation that a raw path leads to, with the values in the path; None when there is none."""
    plain = path.removeprefix("/v1") if path.startswith("/v1/") else path
    for template, pattern in _patterns():
        found = pattern.fullmatch(plain)
        if found and (plain == path or "servers" not in document()["paths"][template]):
            operation = document()["paths"][template].get(method.lower())
            if operation is not None or template != "/{domain}/{dkey}":
                return operation, {name: unquote(value) for name, value in found.groupdict().items()}
    return None, {}


def request_body(request: httpx.Request) -> bytes | None:
    """The body if it was kept; a streamed one was not."""
    try:
        return request.content
    except httpx.RequestNotRead:
        return None


@cache
def _patterns() -> list[tuple[str, re.Pattern[str]]]:
    """Every path as a pattern; those with fewer parameters first, as the router has it."""
    templates = sorted(document()["paths"], key=lambda path: (path == "/{domain}/{dkey}", path.count("{")))

    def pattern(template: str) -> re.Pattern[str]:
        escaped = re.escape(template).replace(r"\{", "{").replace(r"\}", "}")
        # The routes have converters for these two: they may hold slashes.
        with_paths = re.sub(r"\{(dkey|file)\}", r"(?P<\1>.+)", escaped)
        return re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", with_paths))

    return [(template, pattern(template)) for template in templates]


def _judge_answer(response: httpx.Response, operation: dict[str, Any], told: str, *, is_head: bool) -> None:
    answer = operation["responses"].get(str(response.status_code))
    assert answer is not None, f"{told}: this status is not described for {operation['operationId']}"
    for name, header in answer.get("headers", {}).items():
        if name in response.headers:
            value: Any = response.headers[name]
            schema = _resolved(header)["schema"]
            _judge_value(int(value) if schema.get("type") == "integer" else value, schema, f"{told}: {name}")
        else:
            # An original has no ETag of the range, and gunicorn's own problems know no request.
            assert name not in ("ETag", "Location", "Allow", "WWW-Authenticate"), f"{told}: {name} is missing"
    if is_head or "content" not in answer:
        return
    media_type = response.headers.get("Content-Type", "").partition(";")[0]
    assert media_type in answer["content"], f"{told}: {media_type} is not described"
    if media_type.endswith("json"):
        _judge_value(response.json(), answer["content"][media_type]["schema"], told)
    if media_type == "application/problem+json":
        name = response.json()["type"].removeprefix("/problems/")
        assert name in answer["content"][media_type]["examples"], f"{told}: {name} is not described there"


def _judge_problem(response: httpx.Response, told: str) -> None:
    """What has no route, or not that method, ends as a problem."""
    assert response.is_client_error, f"{told}: a route that is not described answers"
    if response.content:
        assert response.headers["Content-Type"] == "application/problem+json", told
        _judge_value(response.json(), {"$ref": "#/components/schemas/Problem"}, told)


def _judge_request(
    operation: dict[str, Any],
    named: dict[str, str],
    query: str,
    headers: Mapping[str, str],
    body: bytes | None,
    told: str,
) -> None:
    described = {(p["in"], p["name"]): p for p in map(_resolved, operation["parameters"])}
    given = {("query", name): value for name, value in parse_qsl(query, keep_blank_values=True)}
    given |= {("path", name): value for name, value in named.items()}
    given |= {key: headers[key[1]] for key in described if key[0] == "header" and key[1] in headers}
    for key, value in given.items():
        if operation["tags"] == ["Operations"] and key not in described:
            # Monitors append what they like.
            continue
        assert key in described, f"{told}: parameter {key} is granted and not described"
        _judge_value(_typed(value, described[key]["schema"]), described[key]["schema"], f"{told}: {key}")
    for key, parameter in described.items():
        assert key in given or not parameter.get("required"), f"{told}: {key} is missing and was granted"
    if operation["security"]:
        assert headers.get("Authorization", "").lower().startswith("bearer "), f"{told}: without a key"
    if "requestBody" in operation:
        _judge_body(operation["requestBody"]["content"], headers.get("Content-Type", ""), body, told)


def _judge_body(content: dict[str, Any], content_type: str, body: bytes | None, told: str) -> None:
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type in BODY_HAS_NO_TYPE and "application/octet-stream" in content:
        return
    names = [media_type, media_type.partition("/")[0] + "/*"]
    found = next((content[name] for name in names if name in content), None)
    assert found is not None, f"{told}: a body of {media_type!r} is granted and not described"
    # A batch is granted although lines of it are not.
    if body is not None and media_type.endswith("json") and found["schema"].get("type", "object") == "object":
        _judge_value(json.loads(body), found["schema"], f"{told}: the body")


def _typed(text: str, schema: Mapping[str, Any]) -> Any:
    """A parameter's text as the value that its schema speaks of."""
    if schema.get("type") == "integer" and re.fullmatch("[0-9]+", text):
        return int(text)
    if schema.get("type") == "number" and re.fullmatch(r"[0-9]+(\.[0-9]+)?", text):
        return float(text)
    return text


def _judge_value(value: Any, schema: Mapping[str, Any], told: str) -> None:
    whole = {**schema, "components": _strict_components()}
    faults = [error.message[:300] for error in _errors(value, whole)]
    assert not faults, f"{told}: {faults}"


def _errors(value: Any, schema: Mapping[str, Any]) -> Iterator[Any]:
    return Draft202012Validator(dict(schema), format_checker=FormatChecker()).iter_errors(value)


@cache
def _strict_components() -> dict[str, Any]:
    components = copy.deepcopy(document()["components"])
    _close(components["schemas"])
    return {"schemas": components["schemas"]}


def _close(schema: Any) -> None:
    if isinstance(schema, list):
        for each in schema:
            _close(each)
    elif isinstance(schema, dict):
        if schema.get("type") == "object" and "properties" in schema:
            schema.setdefault("additionalProperties", False)
        for each in schema.values():
            _close(each)


def _resolved(value: dict[str, Any]) -> dict[str, Any]:
    """What a `$ref` points at, or the value itself."""
    if "$ref" not in value:
        return value
    found: Any = document()
    for part in value["$ref"].removeprefix("#/").split("/"):
        found = found[part]
    return dict(found)
