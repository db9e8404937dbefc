"""`docker compose up`, as it is shipped: real containers, asked through the one public port."""

import hashlib
import json
from typing import Any

from tests.servers import wait_until
from tests.stack.compose.load import needs_engine, picture, upload
from tests.stack.containers import ONE_SHOTS, SERVICES, Containers

pytestmark = needs_engine


def test_up_makes_every_service_healthy(stack: Containers) -> None:
    states = {c["Config"]["Labels"]["com.docker.compose.service"]: c["State"] for c in stack.containers()}

    assert set(states) == {*SERVICES, *ONE_SHOTS}
    assert [name for name in SERVICES if states[name]["Health"]["Status"] != "healthy"] == []
    assert [name for name in ONE_SHOTS if states[name]["ExitCode"] != 0] == []


def test_every_read_route_answers_through_the_public_port(stack: Containers) -> None:
    body = picture(1)

    stored = upload(stack, body, "routes/picture.jpg")
    by_id = stack.http.get("/image/read", params={"id": stored["id"]})
    by_md5 = stack.http.get("/image/read", params={"sum": hashlib.md5(body).hexdigest()})
    by_name = stack.http.get("/test/routes/picture.jpg")
    part = stack.http.get("/test/routes/picture.jpg", headers={"Range": "bytes=0-9"})
    info = stack.http.get("/v1/image/info", params={"domain": "test", "dkey": "routes/picture.jpg"})
    listed = stack.http.get("/images", params={"domain": "test", "prefix": "routes/"})
    nothing = stack.http.get("/test/routes/nothing.jpg")

    assert [by_id.content, by_md5.content, by_name.content] == [body, body, body]
    assert (part.status_code, part.content) == (206, body[:10])
    assert info.json()["sha256"] == hashlib.sha256(body).hexdigest()
    assert listed.status_code == 200
    assert nothing.status_code == 404
    assert nothing.headers["Content-Type"] == "application/problem+json"
    assert stack.http.get("/health/ready").status_code == 200


def test_second_read_of_a_thumbnail_comes_from_redis(stack: Containers) -> None:
    stored = upload(stack, picture(2), "hot.jpg")
    params = {"id": stored["id"], "width": "40"}

    first = stack.http.get("/image/read", params=params)
    wait_until(
        lambda: stack.http.get("/image/read", params=params).headers["X-Cache"] == "redis",
        what="the thumbnail comes from Redis",
    )
    later = stack.http.get("/image/read", params=params)

    assert first.status_code == later.status_code == 200
    assert (later.content, later.headers["ETag"]) == (first.content, first.headers["ETag"])


def test_the_command_finds_everything_from_any_folder(stack: Containers) -> None:
    stored = upload(stack, picture(4), "command.jpg")

    info = json.loads(
        stack.compose("exec", "-T", "-w", "/tmp", "api", "imagestore", "info", "test/command.jpg", "--json")
    )
    # Its exit status is a fault when the disk of this machine is nearly full.
    told = stack.compose("exec", "-T", "api", "sh", "-c", "imagestore doctor --json || true")

    checks = {check["check"]: check["state"] for check in map(json.loads, told.splitlines())}
    assert info["id"] == stored["id"]
    assert {name for name, state in checks.items() if state != "ok"} <= {"data disk"}, told
    assert {"database", "storage", "engines", "redis", "workers", "server", "hot path"} <= checks.keys()


def test_writes_need_the_key(stack: Containers) -> None:
    refused = stack.http.put("/test/refused.jpg", content=picture(3))

    assert refused.status_code == 401


def test_metrics_are_not_for_the_public(stack: Containers) -> None:
    assert stack.http.get("/metrics").status_code == 403


def test_dashboard_needs_its_login(stack: Containers) -> None:
    user, _, password = stack.read("dashboard", "/secrets/dashboard/login").partition(":")

    without = stack.http.get("/rq/")
    wrong = stack.http.get("/rq/", auth=(user, "wrong"))
    page = stack.http.get("/rq/", auth=(user, password))

    assert (without.status_code, wrong.status_code, page.status_code) == (401, 401, 200)
    assert without.headers["WWW-Authenticate"].startswith("Basic")
    assert "downloads" in stack.http.get("/rq/0/data/workers.json", auth=(user, password)).text
    assert stack.http.get("/rq").headers["Location"] == "/rq/"


def test_dashboard_changes_nothing_by_get(stack: Containers) -> None:
    user, _, password = stack.read("dashboard", "/secrets/dashboard/login").partition(":")

    refused = stack.http.get("/rq/requeue/downloads", auth=(user, password))

    assert (refused.status_code, refused.headers["Allow"]) == (405, "POST")


def test_log_is_json_and_leads_from_the_answer_to_the_lines(stack: Containers) -> None:
    refused = stack.writer.put("/test/refused.jpg", content=b"no picture")
    request_id = refused.headers["X-Request-Id"]

    def logged() -> dict[str, Any]:
        log = stack.compose(
            "logs", "--no-color", "--no-log-prefix", "nginx", "api", "worker", "dashboard", "migrate"
        )
        # Compose puts the terminal's "clear the line" before the first line of a container.
        lines = [json.loads(line) for line in log.replace("\x1b[2K", "").splitlines()]
        return {line["logger"]: line for line in lines if line.get("request_id") == request_id}

    wait_until(lambda: "nginx.access" in logged(), what="nginx logs it", every_s=1)
    about_it = logged()
    assert about_it.keys() == {"nginx.access", "api.errors"}
    assert about_it["nginx.access"]["status"] == 415
    assert about_it["api.errors"]["detail"] == refused.json()["detail"]
