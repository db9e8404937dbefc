"""nginx in front of a stand-in for the API: what it hands over, and with which words."""

import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tests.fakeapi import Says
from tests.front import MD5, RECORD, SHA, Front, front
from tests.frontanswers import NAME, URL, from_api, raw_exchange, raw_problem


@pytest.mark.parametrize(
    "path",
    [
        "/image/read?id=8&w=300",
        "/image/read?id=7&w=301",
        "/image/read?w=300",
        "/image/read",
        "/image/read?",
        "/image/read?id=7&id=7&w=300",
        f"/image/read?id=7&sum={MD5}&w=300",
        "/image/read?id=07&w=300",
        "/image/read?id=7a&w=300",
        "/image/read?id=+7&w=300",
        "/image/read?id=%37&w=300",
        "/image/read?id=&w=300",
        "/image/read?id&w=300",
        "/image/read?i%64=7&w=300",
        "/image/read?id=7777777777777777777&w=300",
        f"/image/read?sum={MD5.upper()}&w=300",
        f"/image/read?sum={MD5[:-1]}&w=300",
        "/image/read?id=7&w=300&" + "x" * 600,
        "/x/../image/read?id=7&w=300",
        "/image//read?id=7&w=300",
        "/image/re%61d?id=7&w=300",
        NAME + "?",
        NAME + "?w=300",
        NAME.replace("%20", "+"),
        "/demo//" + NAME.removeprefix("/demo/"),
        "/%64emo/" + NAME.removeprefix("/demo/"),
        "/demo%2F" + NAME.removeprefix("/demo/"),
        "/v1/v1" + NAME,
        "/images/7",
        "/image/info?id=8",
        "/image/info?id=7&id=7",
        "/image/info?id=7&sig=x&kid=y",
        "/image/info?id=7&w=300",
        "/image/info?domain=demo",
        "/image/info?domain=demo&dkey=a+b",
        "/image/info?domain=%64emo&dkey=x",
        "/image/info",
        "/health/live",
        "/d/%ff%fe",
        "/d/x%252fy",
        "/d/x%5Cy",
        "/Demo/x",
        "/",
        "/d//",
    ],
)
def test_miss_or_odd_request_reaches_the_api_as_it_was_written(always: Front, path: str) -> None:
    received = raw_exchange(
        always.nginx.port, f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode()
    )

    assert received.startswith(b"HTTP/1.1 200 ")
    assert received.endswith(b"from the API")
    assert [asked.path for asked in always.api.asked] == [path]


def test_repeated_or_broken_arguments_never_break_lua(always: Front) -> None:
    for query in ("id", "id=7&id", "sum&id=7", "&&&", "=7", "id=7&&=", "%", "id=%", "auto", "id=7&auto"):
        answer = raw_exchange(always.nginx.port, f"GET /image/read?{query} HTTP/1.0\r\n\r\n".encode())
        assert answer.startswith(b"HTTP/1.1 200 "), query


def test_record_that_lost_its_name_or_sum_is_a_miss(always: Front) -> None:
    always.cache.publish(replace(RECORD, rev=2, dkey="other", md5sum="22" * 16, sha256="33" * 32))

    for url in (NAME, f"/image/read?sum={MD5}", f"/image/read?sum={SHA}"):
        assert from_api(always.http.get(url))


def test_barred_and_deleted_records_go_to_the_api(always: Front) -> None:
    always.cache.bar(7, 2)
    barred = always.http.get(URL)
    always.cache.bury(7, 2)
    deleted = always.http.get(URL)

    assert from_api(barred)
    assert from_api(deleted)
    assert deleted.headers["X-Cache"] == "miss"


def test_record_is_remembered_for_a_second_at_most(own: Front) -> None:
    own.http.get(URL)

    own.cache.bury(7, 2)

    buried = begun = time.monotonic()
    while not from_api(own.http.get(URL)):
        # When it was asked counts, not when a busy machine answered.
        assert begun - buried < 1.1
        begun = time.monotonic()


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_other_methods_go_to_the_api(always: Front, method: str) -> None:
    body = b"" if method in ("DELETE", "OPTIONS") else os.urandom(300_000)

    for url in (URL, NAME, "/image/upload"):
        answer = always.http.request(method, url, content=body)

        assert from_api(answer)
        assert always.api.asked[-1].method == method
        assert always.api.asked[-1].body == body


def test_api_is_told_who_asks(always: Front) -> None:
    answer = always.http.get(
        "/images/7",
        headers={
            "Host": "pictures.example:81",
            "X-Forwarded-For": "6.6.6.6",
            "X-Forwarded-Proto": "https",
            "X-Request-Id": "forged",
            "X_Forwarded_For": "7.7.7.7",
            "Authorization": "Bearer abc",
        },
    )

    headers = always.api.asked[0].headers
    assert headers["host"] == "pictures.example:81"
    assert headers["x-forwarded-for"] == "127.0.0.1"
    assert headers["x-forwarded-proto"] == "http"
    assert headers["authorization"] == "Bearer abc"
    assert headers["x-request-id"] == answer.headers["X-Request-Id"] != "forged"
    assert "x_forwarded_for" not in headers


def test_answers_of_the_api_pass_untouched(always: Front) -> None:
    problem = Says(404, {"Content-Type": "application/problem+json", "X-Request-Id": "theirs"}, b'{"a": 1}')
    always.api.answers = {"/demo/x": problem, "/tasks": replace(problem, status=503)}

    answers = [always.http.get("/demo/x"), always.http.get("/tasks")]

    assert [answer.status_code for answer in answers] == [404, 503]
    assert [answer.content for answer in answers] == [b'{"a": 1}'] * 2
    for answer in answers:
        assert answer.headers.get_list("X-Request-Id") == [always.api.asked.pop(0).headers["x-request-id"]]


def test_metrics_are_for_this_machine_only(always: Front, tmp_path: Path) -> None:
    page = always.http.get("/metrics").content

    assert page.startswith(b"from the API")
    assert b"\n# TYPE imagestore_nginx_requests_total counter\n" in page
    with front(tmp_path, METRICS_FROM="192.0.2.1, 198.51.100.0/24") as guarded:
        for path in ("/metrics", "/v1/metrics", "/%6Detrics", "/x/../metrics"):
            received = raw_exchange(
                guarded.nginx.port, f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode()
            )
            assert received.startswith(b"HTTP/1.1 403 ")
            assert raw_problem(received)["type"] == "/problems/forbidden"
        assert guarded.api.asked == []


def test_what_reaches_the_api_is_limited_by_address_and_what_is_in_memory_is_not(tmp_path: Path) -> None:
    with front(tmp_path, RATE_PER_ADDRESS="1") as limited:
        answers = [limited.http.get(f"/images?after={number}") for number in range(20)]
        misses = [limited.http.get(f"/image/read?id=8&w={number}") for number in range(1, 4)]
        hits = {limited.http.get(URL).status_code for _ in range(30)}

        refused = [answer for answer in [*answers, *misses] if answer.status_code == 429]
        assert 17 <= len(refused) <= 21
        assert refused[0].json()["type"] == "/problems/rate-limited"
        assert refused[0].headers["Content-Type"] == "application/problem+json"
        assert refused[0].headers["Retry-After"] == "1"
        assert hits == {200}
        assert len(limited.api.asked) == 23 - len(refused)


@pytest.mark.parametrize(("proxies", "believed"), [("127.0.0.0/8 ::1", True), ("", False)])
def test_a_clients_address_is_taken_from_trusted_proxies_only(
    tmp_path: Path, proxies: str, believed: bool
) -> None:
    with front(tmp_path, RATE_PER_ADDRESS="1", TRUSTED_PROXIES=proxies) as behind:
        for number in range(20):
            # The left part is what the client wrote itself.
            behind.http.get("/images", headers={"X-Forwarded-For": f"10.0.0.1, 203.0.113.{number}"})

        assert (len(behind.api.asked) == 20) is believed
        address = behind.api.asked[0].headers["x-forwarded-for"]
        assert address == ("203.0.113.0" if believed else "127.0.0.1")
