"""`docker compose up`, as it is shipped: real containers, asked through the one public port.

`make test-stack` runs these; they share one stack, and each leaves it healthy.
"""

import contextlib
import hashlib
import io
import json
import os
import re
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from tests.origin import Exchange, Origin, answer, origin
from tests.pictures import quadrants
from tests.servers import ROOT, free_port, wait_until
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

    log = stack.compose(
        "logs", "--no-color", "--no-log-prefix", "nginx", "api", "worker", "dashboard", "migrate"
    )
    # Compose puts the terminal's "clear the line" before the first line of a container.
    lines = [json.loads(line) for line in log.replace("\x1b[2K", "").splitlines()]

    about_it = {line["logger"]: line for line in lines if line.get("request_id") == request_id}
    assert about_it.keys() == {"nginx.access", "api.errors"}
    assert about_it["nginx.access"]["status"] == 415
    assert about_it["api.errors"]["detail"] == refused.json()["detail"]


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
    """Readers of one cached thumbnail, one of its description, which the API gives, and one uploader,
    until they are told to stop."""

    stack: Containers
    number: int
    acknowledged: dict[str, bytes] = field(default_factory=dict)
    reads: list[tuple[float, str]] = field(default_factory=list)
    """When a read of the thumbnail began, and how it ended."""
    api_reads: list[tuple[float, str]] = field(default_factory=list)
    """The same of the description."""
    failed_uploads: list[str] = field(default_factory=list)
    _stopping: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        stored = upload(self.stack, picture(9_000 + self.number), f"load-{self.number}/cached.jpg")
        self.path = f"/image/read?id={stored['id']}&width=33"
        self.api_path = f"/image/info?id={stored['id']}"
        wait_until(
            lambda: self.stack.http.get(self.path).headers.get("X-Cache") in ("redis", "memory"),
            what="the thumbnail is cached",
        )

    @contextlib.contextmanager
    def running(self) -> Iterator["Load"]:
        with ThreadPoolExecutor(4) as threads:
            reads = [(self.path, self.reads), (self.path, self.reads), (self.api_path, self.api_reads)]
            work = [threads.submit(self._read, *each) for each in reads]
            work.append(threads.submit(self._upload))
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

    def _read(self, path: str, outcomes: list[tuple[float, str]]) -> None:
        with httpx.Client(base_url=self.stack.address, timeout=20) as client:
            while not self._stopping.wait(0.02):
                started = time.monotonic()
                try:
                    answer = client.get(path)
                    outcome = f"{answer.status_code} {answer.headers.get('X-Request-Id')}"
                except httpx.HTTPError as error:
                    outcome = repr(error)
                # The id leads to the line in nginx's log.
                outcomes.append((started, "200" if outcome.startswith("200 ") else outcome))

    def _upload(self) -> None:
        headers = dict(self.stack.writer.headers)
        with httpx.Client(base_url=self.stack.address, timeout=20, headers=headers) as client:
            count = 0
            while not self._stopping.wait(0.05):
                body, dkey = picture(self.number * 1_000 + count), f"load-{self.number}/{count}.jpg"
                try:
                    status = client.put(f"/test/{dkey}", content=body).status_code
                except httpx.HTTPError as error:
                    self.failed_uploads.append(repr(error))
                else:
                    if status in (200, 201):
                        self.acknowledged[dkey] = body
                    else:
                        self.failed_uploads.append(str(status))
                count += 1


def began_between(reads: list[tuple[float, str]], start: float, end: float) -> list[str]:
    """How those reads ended that began between two moments."""
    return [outcome for moment, outcome in reads if start < moment < end]


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
        outcomes = began_between(load.reads, killed, before_start)
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


@pytest.fixture(scope="module")
def replicas(stack: Containers) -> Iterator[tuple[Containers, Origin]]:
    """Two APIs and three workers, and a server that they may fetch from."""
    # Docker's own address in the network: containers reach this machine there.
    with origin(host=stack.gateway()) as server:
        stack.variables |= {"FETCH_ALLOW": server.service, "TASK_LEASE_S": "4"}
        stack.up("--scale", "api=2", "--scale", "worker=3")
        wait_until(lambda: upstreams(stack) == 2, what="nginx knows both replicas")
        yield stack, server
    stack.variables.clear()


def test_replicas_share_the_work_and_render_a_picture_once(replicas: tuple[Containers, Origin]) -> None:
    stack, _ = replicas
    uploads = [upload(stack, picture(100 + n), f"scaled/{n}.jpg") for n in range(8)]
    before = stack.renders()
    paths = [f"/image/read?id={stored['id']}&width={width}" for stored in uploads for width in (30, 31)]

    with ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(lambda path: stack.http.get(path).status_code, paths * 8))
    after = stack.renders()

    assert set(answers) == {200}
    assert sum(after) - sum(before) == len(paths)
    assert all(now > then for now, then in zip(after, before, strict=True)), "both have worked"


def test_200_readers_of_one_missing_picture_are_one_render_over_both_apis(
    replicas: tuple[Containers, Origin],
) -> None:
    stack, _ = replicas
    stored = upload(stack, picture(120), "flight.jpg")
    before = stack.renders()
    together = threading.Barrier(200)

    def read(client: httpx.Client) -> tuple[int, bytes]:
        together.wait()
        answer = client.get("/image/read", params={"id": stored["id"], "width": "77"})
        return answer.status_code, answer.content

    limits = httpx.Limits(max_connections=200)
    with (
        httpx.Client(base_url=stack.address, timeout=60, limits=limits) as client,
        ThreadPoolExecutor(200) as threads,
    ):
        answers = list(threads.map(read, [client] * 200))

    assert {status for status, _ in answers} == {200}
    assert len({body for _, body in answers}) == 1
    assert sum(stack.renders()) - sum(before) == 1


def test_downloads_run_once_each_and_keep_the_limit_of_their_host(
    replicas: tuple[Containers, Origin],
) -> None:
    stack, server = replicas
    lock, now, most = threading.Lock(), [0], [0]

    def slowly(exchange: Exchange) -> None:
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        exchange.pause(0.3)
        with lock:
            now[0] -= 1
        answer(body=picture(int(exchange.request.target.rpartition("/")[2])))(exchange)

    server.paths |= {f"/once/{n}": slowly for n in range(500, 516)}
    lines = [
        {"url": server.url(f"/once/{n}"), "domain": "test", "dkey": f"once/{n}"} for n in range(500, 516)
    ]
    batch = stack.writer.post("/tasks", json=lines)
    ids = [task["id"] for task in batch.json()["tasks"]]
    flags = [ended(stack, task_id)["flag"] for task_id in ids]

    assert flags == ["succeed"] * 16
    assert Counter(request.target for request in server.requests) == {
        f"/once/{n}": 1 for n in range(500, 516)
    }
    assert 1 < most[0] <= 4, "FETCH_CONCURRENCY_PER_HOST is 4"


def test_task_of_a_killed_worker_is_done_by_another_though_the_sweeper_dies_too(
    replicas: tuple[Containers, Origin],
) -> None:
    stack, server = replicas
    askers: list[str] = []

    def hang_for_the_first(exchange: Exchange) -> None:
        askers.append(exchange.client)
        if len(askers) == 1:
            exchange.pause(600)
        answer(body=picture(530))(exchange)

    server.paths["/killed"] = hang_for_the_first
    task = {"url": server.url("/killed"), "domain": "test", "dkey": "killed.jpg"}
    task_id = stack.writer.post("/image/download", json=task).json()["id"]
    wait_until(lambda: len(askers) == 1, what="a worker fetches")
    victims = {stack.at_address("worker", askers[0]), sweeping(stack)}
    stack.kill(*victims)
    done = ended(stack, task_id)
    stack.compose("start", "worker")

    assert (done["flag"], done["attempts"]) == ("succeed", 2)
    assert len(askers) == 2
    assert stack.http.get("/test/killed.jpg").content == picture(530)


def test_killed_api_replica_costs_no_upload_and_hardly_a_read(replicas: tuple[Containers, Origin]) -> None:
    stack, _ = replicas
    victim = f"{stack.project}-api-2"
    with Load(stack, 8).running() as load:
        load.wait_for_uploads(5)
        stack.kill(victim)
        killed = time.monotonic()
        wait_until(lambda: upstreams(stack) == 1, what="nginx forgets the replica")
        load.wait_for_uploads(10)
        docker("start", victim)
        wait_until(lambda: upstreams(stack) == 2, what="nginx knows it again")
        stack.wait_healthy()
        load.wait_for_uploads(10)
        end = time.monotonic()

    lost = [key for key, body in load.acknowledged.items() if stack.http.get(f"/test/{key}").content != body]
    assert lost == []
    # nginx asks the other replica again. What is left: it reloads when the replica goes and when it
    # comes, and each time closes the connections that no request is on (3 readers, 1 uploader).
    during = began_between(load.reads + load.api_reads, killed - 1, end)
    failures = [outcome for outcome in during if outcome != "200"] + load.failed_uploads
    assert len(failures) <= 8
    assert all("RemoteProtocolError" in failure for failure in failures), failures


@pytest.fixture
def prometheus(replicas: tuple[Containers, Origin]) -> Iterator[httpx.Client]:
    """The Prometheus of the profile `monitoring` beside a stack with replicas. Grafana is not started: there
    is none where images cannot be pulled."""
    stack, _ = replicas
    port = free_port()
    stack.variables |= {"PROMETHEUS_PORT": str(port), "COMPOSE_PROFILES": "monitoring"}
    try:
        stack.compose("up", "--detach", "--build", "--wait", "--no-deps", "prometheus", timeout_s=300)
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            yield client
    finally:
        stack.compose("rm", "--force", "--stop", "prometheus")
        del stack.variables["COMPOSE_PROFILES"]
        docker("volume", "rm", "--force", f"{stack.project}_prometheus")


def test_prometheus_finds_every_replica_and_knows_the_alerts(
    replicas: tuple[Containers, Origin], prometheus: httpx.Client
) -> None:
    stack, _ = replicas

    def up() -> Counter[str]:
        targets = prometheus.get("/api/v1/targets").json()["data"]["activeTargets"]
        return Counter(target["labels"]["job"] for target in targets if target["health"] == "up")

    def ask(query: str) -> list[dict[str, Any]]:
        answer = prometheus.get("/api/v1/query", params={"query": query}).json()
        assert answer["status"] == "success", (query, answer)
        return list(answer["data"]["result"])

    wait_until(lambda: up() == {"api": 2, "worker": 3, "nginx": 1}, what="all are scraped", timeout_s=60)
    groups = prometheus.get("/api/v1/rules").json()["data"]["groups"]
    for path in (ROOT / "monitoring" / "grafana" / "dashboards").glob("*.json"):
        for panel in json.loads(path.read_text())["panels"]:
            for target in panel.get("targets", []):
                ask(target["expr"].replace("$__rate_interval", "1m"))
    (workers,) = ask("max(imagestore_workers)")
    stack.http.get("/image/read", params={"id": "1"})
    wait_until(
        lambda: bool(ask('sum(imagestore_nginx_requests_total{route="/image/read"})')),
        what="a read is counted",
        timeout_s=60,
    )
    run = ["run", "--rm", "--no-deps", "--env", "TMPDIR=/prometheus", "--entrypoint", "promtool"]
    tested = stack.compose(*run, "prometheus", "test", "rules", "/etc/prometheus/alerts.test.yml")

    assert [group["name"] for group in groups] == ["imagestore"]
    assert {rule["health"] for rule in groups[0]["rules"]} <= {"ok", "unknown"}
    # Some that were killed may still count for a minute and a half.
    assert float(workers["value"][1]) >= 3 * 8
    assert "SUCCESS" in tested


def ended(stack: Containers, task_id: int) -> dict[str, object]:
    """The task once it has ended."""

    def look() -> dict[str, object]:
        return dict(stack.writer.get(f"/tasks/{task_id}").json())

    wait_until(lambda: look()["flag"] != "created", what=f"the end of task {task_id}", timeout_s=60)
    return look()


def sweeping(stack: Containers) -> str:
    """The name of the worker whose sweeper took office last."""
    log = stack.compose("logs", "--no-color", "--timestamps", "worker")
    found = re.findall(r"(worker-[0-9]+) +\| +(\S+) .*the sweeper of this worker is in office", log)
    replica, _ = max(found, key=lambda line: line[1])
    return f"{stack.project}-{replica}"


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
