"""`docker compose up`, as it is shipped: real containers, asked through the one public port.

`make test-stack` runs these; they share one stack, and each leaves it healthy.
"""

import contextlib
import hashlib
import io
import json
import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import httpx
import pytest

from tests.pictures import quadrants
from tests.servers import ROOT, wait_until
from tests.stack.containers import ONE_SHOTS, SERVICES, Containers, container_stack, docker, overlay

REDIS_CLI = "REDISCLI_AUTH=$(cat /secrets/redis/password) redis-cli"

pytestmark = pytest.mark.skipif(
    not os.environ.get("COMPOSE_TESTS"), reason="needs a Docker engine: make test-stack"
)


@pytest.fixture(scope="module")
def stack(request: pytest.FixtureRequest) -> Iterator[Containers]:
    with container_stack(keep_logs=lambda: request.session.testsfailed) as containers:
        yield containers


def picture(number: int) -> bytes:
    """A small JPEG; another one for each number."""
    buffer = io.BytesIO()
    quadrants(120 + number % 400, 90 + number // 400).save(buffer, "JPEG")
    return buffer.getvalue()


def upload(stack: Containers, body: bytes, dkey: str) -> dict[str, object]:
    answer = stack.writer.put(f"/test/{dkey}", content=body)
    assert answer.status_code in (200, 201), answer.text
    return dict(answer.json())


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


def test_no_secret_is_in_the_configuration_or_in_an_image(stack: Containers) -> None:
    public = [stack.compose("config"), stack.compose("logs"), stack.compose("top")]
    public += [json.dumps(stack.containers())]
    public += [docker("history", "--no-trunc", image) for image in stack.images]
    public += [docker("image", "inspect", image) for image in stack.images]

    found = [name for name, secret in stack.secrets().items() if any(secret in text for text in public)]

    assert found == []


def test_each_secret_is_seen_by_those_alone_who_need_it(stack: Containers) -> None:
    seen = {
        container["Config"]["Labels"]["com.docker.compose.service"]: {
            mount["Destination"].removeprefix("/secrets/")
            for mount in container["Mounts"]
            if mount["Destination"].startswith("/secrets/")
        }
        for container in stack.containers(*SERVICES)
    }

    assert seen == {
        "nginx": {"redis"},
        "api": {"api", "database", "redis"},
        "worker": {"api", "database", "redis"},
        "dashboard": {"dashboard", "redis"},
        "redis": {"redis"},
        "db": {"database"},
    }


def test_no_process_runs_as_root(stack: Containers) -> None:
    # The first column of `docker top` is the user as the host sees it.
    for container in stack.containers(*SERVICES):
        users = {
            line.split()[0] for line in docker("top", container["Id"], "-eo", "uid,pid").splitlines()[1:]
        }

        assert users & {"0", "root"} == set(), container["Name"]


def test_containers_may_do_little(stack: Containers) -> None:
    for container in stack.containers():
        host, name = container["HostConfig"], container["Name"]

        assert host["ReadonlyRootfs"], name
        assert host["CapDrop"] == ["ALL"], name
        assert not host["CapAdd"], name
        assert host["SecurityOpt"] == ["no-new-privileges:true"], name
        assert host["Memory"] > 0, name
        assert host["PidsLimit"] > 0, name
        assert host["Init"], name
        assert set(host["LogConfig"]["Config"]) == {"max-size", "max-file"}, name


def test_only_nginx_publishes_a_port(stack: Containers) -> None:
    publishing = [
        c["Name"] for c in stack.containers() if any((c["HostConfig"]["PortBindings"] or {}).values())
    ]

    assert publishing == [f"/{stack.project}-nginx-1"]


def test_images_hold_no_compiler_and_no_package_installer(stack: Containers) -> None:
    look = (
        "for name in cc gcc g++ make pip pip3; do command -v $name; done; python3 -m pip --version 2>&1; true"
    )

    for image in stack.images:
        found = docker("run", "--rm", "--network", "none", "--entrypoint", "sh", image, "-c", look)

        assert [
            line for line in found.splitlines() if "No module" not in line and "not found" not in line
        ] == []


def first_start(stack: Containers, script: str) -> str:
    """What a shell prints in a container of its own, where no start has made secrets yet."""
    command = ["run", "--rm", "--network", "none", stack.images[0], "sh", "-ec", script]
    return docker(*command)


def test_given_secrets_are_taken_instead_of_new_ones(stack: Containers) -> None:
    printed = first_start(
        stack,
        "echo given-api-key-0123 >/given/api_key; REDIS_PASSWORD=given.password dev/first-start >/dev/null;"
        " cat /secrets/api/key /secrets/redis/url",
    )

    assert printed.split() == ["given-api-key-0123", "redis://:given.password@redis:6379/0"]


def test_secrets_are_made_once_and_differ(stack: Containers) -> None:
    printed = first_start(
        stack,
        "dev/first-start >/dev/null; cat /secrets/*/password /secrets/api/key;"
        " dev/first-start; cat /secrets/api/key",
    )

    database, redis, key, key_again = printed.split()
    assert key == key_again
    assert len({database, redis, key}) == 3
    assert {len(secret) for secret in (database, redis, key)} == {32}


@pytest.mark.parametrize(
    ("password", "reason"), [("another", "differs from the one"), ("a b@c", "may hold only")]
)
def test_unusable_database_password_is_refused(stack: Containers, password: str, reason: str) -> None:
    first = "dev/first-start >/dev/null; " if password == "another" else ""

    with pytest.raises(RuntimeError, match=reason):
        first_start(stack, f"{first}DATABASE_PASSWORD='{password}' dev/first-start")


@dataclass
class Load:
    """Readers of one cached thumbnail and one uploader, until they are told to stop."""

    stack: Containers
    number: int
    acknowledged: dict[str, bytes] = field(default_factory=dict)
    reads: list[tuple[float, str]] = field(default_factory=list)
    """When a read began, and how it ended."""
    _stopping: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        stored = upload(self.stack, picture(9_000 + self.number), f"load-{self.number}/cached.jpg")
        self.path = f"/image/read?id={stored['id']}&width=33"
        wait_until(
            lambda: self.stack.http.get(self.path).headers.get("X-Cache") in ("redis", "memory"),
            what="the thumbnail is cached",
        )

    @contextlib.contextmanager
    def running(self) -> Iterator["Load"]:
        with ThreadPoolExecutor(3) as threads:
            work = [threads.submit(self._read), threads.submit(self._read), threads.submit(self._upload)]
            try:
                yield self
            finally:
                self._stopping.set()
                for each in work:
                    each.result()

    def wait_for_uploads(self, count: int) -> None:
        """Until so many more uploads were acknowledged."""
        wanted = len(self.acknowledged) + count
        wait_until(lambda: len(self.acknowledged) >= wanted, what=f"{count} uploads", timeout_s=90)

    def outcomes(self, start: float, end: float) -> list[str]:
        """How the reads ended that began between two moments."""
        return [outcome for moment, outcome in self.reads if start < moment < end]

    def _read(self) -> None:
        with httpx.Client(base_url=self.stack.address, timeout=20) as client:
            while not self._stopping.wait(0.02):
                started = time.monotonic()
                try:
                    answer = client.get(self.path)
                    outcome = f"{answer.status_code} {answer.headers.get('X-Request-Id')}"
                except httpx.HTTPError as error:
                    outcome = repr(error)
                # The id leads to the line in nginx's log.
                self.reads.append((started, "200" if outcome.startswith("200 ") else outcome))

    def _upload(self) -> None:
        headers = dict(self.stack.writer.headers)
        with httpx.Client(base_url=self.stack.address, timeout=20, headers=headers) as client:
            count = 0
            while not self._stopping.wait(0.05):
                body, dkey = picture(self.number * 1_000 + count), f"load-{self.number}/{count}.jpg"
                with contextlib.suppress(httpx.HTTPError):
                    if client.put(f"/test/{dkey}", content=body).status_code in (200, 201):
                        self.acknowledged[dkey] = body
                count += 1


@pytest.mark.parametrize(("number", "service"), list(enumerate(SERVICES, 1)))
def test_killed_service_loses_no_acknowledged_upload(stack: Containers, number: int, service: str) -> None:
    with Load(stack, number).running() as load:
        load.wait_for_uploads(5)
        stack.compose("kill", "--signal", "SIGKILL", service)
        killed = time.monotonic()
        # Long enough for every timeout of a client of that service to pass.
        wait_until(lambda: time.monotonic() > killed + 6, what="six seconds without it")
        before_start = time.monotonic()
        stack.compose("start", service)
        stack.wait_healthy()
        load.wait_for_uploads(5)

    lost = [key for key, body in load.acknowledged.items() if stack.http.get(f"/test/{key}").content != body]
    assert lost == []
    if service != "nginx":
        outcomes = load.outcomes(killed, before_start)
        assert set(outcomes) == {"200"}
        assert len(outcomes) > 20


def test_down_and_up_keeps_everything(stack: Containers) -> None:
    body = picture(40)
    stored, secrets_before = upload(stack, body, "kept.jpg"), stack.secrets()

    stack.compose("down", "--timeout", "40")
    stack.up()

    assert stack.http.get("/test/kept.jpg").content == body
    assert stack.http.get("/image/info", params={"id": stored["id"]}).json()["rev"] == 1
    assert stack.secrets() == secrets_before
    assert stack.writer.put("/test/after.jpg", content=picture(41)).status_code == 201


def test_replicas_share_the_work_and_render_a_picture_once(stack: Containers) -> None:
    try:
        stack.up("--scale", "api=2", "--scale", "worker=3")
        wait_until(lambda: upstreams(stack) == 2, what="nginx knows both replicas")
        uploads = [upload(stack, picture(100 + n), f"scaled/{n}.jpg") for n in range(8)]
        before = stack.renders()
        paths = [f"/image/read?id={stored['id']}&width={width}" for stored in uploads for width in (30, 31)]
        with ThreadPoolExecutor(16) as threads:
            answers = list(threads.map(lambda path: stack.http.get(path).status_code, paths * 8))
        after = stack.renders()

        assert set(answers) == {200}
        assert sum(after) - sum(before) == len(paths)
        assert all(now > then for now, then in zip(after, before, strict=True)), "both have worked"
        assert len(stack.containers("worker")) == 3
        assert stack.unhealthy() == []
    finally:
        stack.up("--scale", "api=1", "--scale", "worker=1")


def upstreams(stack: Containers) -> int:
    """How many replicas of the API nginx sends requests to."""
    text = stack.read("nginx", "/run/nginx/nginx.conf")
    return text.partition("upstream api {")[2].partition("}")[0].count(":8000")


def test_stop_ends_every_service_by_itself(stack: Containers) -> None:
    stack.compose("stop")
    codes = {c["Name"]: c["State"]["ExitCode"] for c in stack.containers(*SERVICES)}
    stack.up()

    assert set(codes.values()) == {0}, codes


def test_newer_version_migrates_the_old_volumes_once(stack: Containers) -> None:
    body = picture(60)
    upload(stack, body, "old.jpg")
    stack.more_files.append(ROOT / "tests" / "stack" / "newer.yaml")
    try:
        stack.compose("down", "--timeout", "40")
        stack.up("--scale", "api=2", "--scale", "migrate=3")
        columns = stack.compose(
            "exec", "-T", "db", "sh", "-c",
            "mariadb -uimagestore -p$(cat /secrets/database/password) -h127.0.0.1 imagestore"
            " -Ne 'SHOW COLUMNS FROM image_info LIKE \"newer\"; SELECT name FROM schema_migration'",
        )  # fmt: skip

        assert columns.count("newer\t") == 1
        assert columns.count("9999_newer") == 1
        assert stack.http.get("/test/old.jpg").content == body
    finally:
        stack.more_files.clear()
        stack.up("--scale", "api=1", "--scale", "migrate=1", "--remove-orphans")


def test_originals_live_in_an_s3_store() -> None:
    body = picture(70)
    with container_stack(*overlay("compose.s3.yaml")) as stack:
        stored = upload(stack, body, "far.jpg")
        # What is answered from now on comes from the store, and not from Redis.
        stack.compose("exec", "-T", "redis", "sh", "-c", f"{REDIS_CLI} flushall")
        whole = stack.http.get("/test/far.jpg")
        part = stack.http.get("/test/far.jpg", headers={"Range": "bytes=5-9"})
        thumbnail = stack.http.get("/image/read", params={"id": stored["id"], "width": "20"})
        here = stack.compose("exec", "-T", "api", "find", "/data/originals", "-type", "f")

        assert whole.content == body
        assert (part.status_code, part.content) == (206, body[5:10])
        assert thumbnail.status_code == 200
        assert here == ""
