"""The table of problem types, walked through from outside: every line that a request can cause."""

import httpx
import pytest

from api.errors import PROBLEMS
from tests import pictures
from tests.api.asking import assert_problem
from tests.imagestack import ImageStack, image_stack
from tests.servers import free_port

INSIDE = ["127.0.0.1", "[::1]", "169.254.169.254", "10.0.0.1:8080", "2130706433", "[64:ff9b::7f00:1]"]


@pytest.mark.parametrize(
    "query",
    [
        "",
        "id=1&sum=" + "a" * 32,
        "id=1&id=2",
        "id=1&size=3",
        "id=1&width=1&width=2",
        "id=1&w=1&width=1",
        "id=1&x",
    ],
)
def test_requests_that_cannot_be_understood(shared_stack: ImageStack, query: str) -> None:
    assert_problem(shared_stack.http.get(f"/image/read?{query}"), 400, "invalid-request")


@pytest.mark.parametrize(
    ("path", "expected"),
    [("/image/read", "id and sum"), ("/image/info", "id, sum, and domain with dkey")],
)
def test_a_picture_without_a_name_is_told_what_the_route_takes(
    shared_stack: ImageStack, path: str, expected: str
) -> None:
    answer = shared_stack.http.get(path)

    assert answer.json()["detail"] == f"expected exactly one of the parameters {expected}"


@pytest.mark.parametrize("path", ["/image/read", "/v1/image/read", "/image/info"])
@pytest.mark.parametrize(
    "value", ["1abc", "+5", "1_0", "%EF%BC%91%EF%BC%90", "%207", "0x10", "-0", "", "0", "01"]
)
def test_ids_outside_the_grammar(shared_stack: ImageStack, path: str, value: str) -> None:
    problem = assert_problem(shared_stack.http.get(f"{path}?id={value}"), 400, "invalid-parameter")

    assert problem["parameter"] == "id"


@pytest.mark.parametrize("value", ["0", "4097", "+5", "1_0", "%EF%BC%91", "%207", "0x10", "-0", "", "1.5"])
def test_sizes_outside_the_grammar(shared_stack: ImageStack, value: str) -> None:
    problem = assert_problem(
        shared_stack.http.get(f"/image/read?id=1&width={value}"), 400, "invalid-parameter"
    )

    assert problem["parameter"] == "width"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/image/upload"),
        ("POST", "/v1/images"),
        ("PUT", "/demo/x"),
        ("DELETE", "/demo/x"),
        ("PUT", "/v1/images/1"),
        ("PATCH", "/v1/images/1"),
        ("DELETE", "/v1/images/1"),
    ],
)
@pytest.mark.parametrize(
    "header", [None, "Bearer wrong-wrong-wrong-wrong", "Basic dTpw", "Bearer", "Bearer \xff"]
)
def test_writes_need_a_key(shared_stack: ImageStack, method: str, path: str, header: str | None) -> None:
    headers = {b"Authorization": header.encode("latin-1")} if header else None

    answer = shared_stack.http.request(method, path, headers=headers, content=pictures.photo(20, 20))

    assert_problem(answer, 401, "unauthenticated")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/image/read?id=999999", "image-not-found"),
        ("/image/read?sum=" + "0" * 32, "image-not-found"),
        ("/image/read?sum=" + "0" * 64, "image-not-found"),
        ("/image/info?domain=demo&dkey=nothing", "image-not-found"),
        ("/demo/nothing-here", "image-not-found"),
        ("/v1/images/999999", "image-not-found"),
        ("/nothing", "not-found"),
        ("/image", "not-found"),
        ("/health", "not-found"),
        ("/image/nothing", "not-found"),
        ("/v1/rq/nothing", "not-found"),
        ("/favicon.ico", "not-found"),
        ("/problems/nothing", "not-found"),
    ],
)
def test_what_is_not_there(shared_stack: ImageStack, path: str, name: str) -> None:
    assert_problem(shared_stack.http.get(path), 404, name)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", "/image/read?id=1", "GET"),
        ("DELETE", "/image/upload", "POST"),
        ("POST", "/demo/x", "PUT"),
        ("PATCH", "/v1/images", "POST"),
    ],
)
def test_methods_that_a_route_does_not_have(
    shared_stack: ImageStack, method: str, path: str, allowed: str
) -> None:
    answer = shared_stack.writer.request(method, path)

    assert_problem(answer, 405, "method-not-allowed")
    assert allowed in answer.headers["Allow"]
    assert answer.json()["detail"] == "the method is not one of those in Allow"


def test_another_picture_under_a_taken_name_is_a_conflict(shared_stack: ImageStack) -> None:
    shared_stack.upload(pictures.photo(30, 20, seed=1), "demo", "taken")

    form = {"domain": "demo", "dkey": "taken"}
    body = pictures.photo(30, 20, seed=2)
    answer = shared_stack.writer.post("/image/upload", files={"file": body}, data=form)

    assert_problem(answer, 409, "key-conflict")
    forced = shared_stack.writer.post("/image/upload", files={"file": body}, data={**form, "overwrite": "1"})
    assert forced.status_code == 200


def test_preconditions_that_do_not_hold(shared_stack: ImageStack) -> None:
    image = shared_stack.upload(pictures.photo(30, 20, seed=3), "demo", "guarded")
    body = pictures.photo(30, 20, seed=4)

    for method, headers in [
        ("PUT", {"If-Match": '"other"'}),
        ("PUT", {"If-None-Match": "*"}),
        ("DELETE", {"If-Match": '"other"'}),
    ]:
        answer = shared_stack.writer.request(method, "/demo/guarded", headers=headers, content=body)
        assert_problem(answer, 412, "precondition-failed")
    answer = shared_stack.writer.put("/demo/free", headers={"If-Match": "*"}, content=body)
    assert_problem(answer, 412, "precondition-failed")

    assert shared_stack.http.get(f"/v1/images/{image['id']}").json()["rev"] == 1


def test_bodies_over_the_limit(shared_stack: ImageStack) -> None:
    answer = shared_stack.writer.put("/demo/big", content=pictures.photo(20, 20) + bytes(33 * 1024 * 1024))

    assert_problem(answer, 413, "payload-too-large")


def test_a_request_line_over_8_kib(shared_stack: ImageStack) -> None:
    assert_problem(shared_stack.http.get("/demo/" + "x" * 9000), 414, "uri-too-long")


def test_headers_over_32_kib(shared_stack: ImageStack) -> None:
    headers = {f"X-{n}": "x" * 7000 for n in range(6)}

    assert_problem(shared_stack.http.get("/demo/x", headers=headers), 431, "headers-too-large")


@pytest.mark.parametrize(
    "media_type", ["text/plain", "application/json", "video/mp4", "multipart/mixed; boundary=x"]
)
def test_request_bodies_of_other_types(shared_stack: ImageStack, media_type: str) -> None:
    body = pictures.photo(20, 20)

    answer = shared_stack.writer.post("/v1/images", content=body, headers={"Content-Type": media_type})

    assert_problem(answer, 415, "unsupported-media-type")


def test_an_empty_body(shared_stack: ImageStack) -> None:
    assert_problem(shared_stack.writer.put("/demo/empty", content=b""), 400, "invalid-request")


def test_ranges_outside_an_original(shared_stack: ImageStack) -> None:
    body = pictures.photo(50, 40)
    shared_stack.upload(body, "demo", "ranged-out")

    answer = shared_stack.http.get("/demo/ranged-out", headers={"Range": f"bytes={len(body)}-"})

    assert_problem(answer, 416, "range-not-satisfiable")


def test_rendition_parameters_on_a_name(shared_stack: ImageStack) -> None:
    shared_stack.upload(pictures.photo(50, 40), "demo", "plain")

    problem = assert_problem(shared_stack.http.get("/demo/plain?width=10"), 400, "invalid-request")

    assert "/image/read" in problem["detail"]


def test_every_problem_type_explains_itself(shared_stack: ImageStack) -> None:
    for name, (status, title) in PROBLEMS.items():
        answer = shared_stack.http.get(f"/problems/{name}")
        assert answer.json() == {"type": f"/problems/{name}", "status": status, "title": title}


def test_a_key_of_one_domain_writes_only_there(tmp_path_factory: pytest.TempPathFactory) -> None:
    limited = {"Authorization": f"Bearer {'c' * 20}"}
    body = pictures.photo(20, 20)
    with image_stack(tmp_path_factory.mktemp("keys"), API_KEYS=f"{'c' * 20}=cats") as stack:
        dog = stack.upload(body, "dogs", "rex")

        assert stack.http.put("/cats/tom", content=body, headers=limited).status_code == 201
        for answer in (
            stack.http.put("/dogs/tom", content=body, headers=limited),
            stack.http.post("/v1/images?domain=dogs", content=body, headers=limited),
            stack.http.delete(f"/v1/images/{dog['id']}", headers=limited),
            stack.http.put(f"/v1/images/{dog['id']}", content=body, headers=limited),
        ):
            assert_problem(answer, 403, "forbidden")


def test_urls_that_cannot_be_fetched(tmp_path_factory: pytest.TempPathFactory) -> None:
    closed = free_port()
    with image_stack(tmp_path_factory.mktemp("fetch"), FETCH_ALLOW=f"127.0.0.1:{closed}") as stack:

        def fetch(url: str) -> httpx.Response:
            return stack.writer.post("/image/download", json={"url": url, "mode": "sync"})

        assert_problem(fetch(f"http://127.0.0.1:{closed}/a.jpg"), 422, "fetch-failed")
        forbidden = [
            assert_problem(fetch(f"http://{host}/"), 403, "fetch-target-forbidden") for host in INSIDE
        ]
        assert len({problem["detail"] for problem in forbidden}) == 1
        assert_problem(fetch("http://user:word@example.com/"), 400, "invalid-url")
