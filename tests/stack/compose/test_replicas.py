"""Two APIs and three workers in the container stack, and what measures them."""

import json
import re
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.origin import Exchange, Origin, answer, origin
from tests.servers import ROOT, free_port, wait_until
from tests.stack.compose.load import Load, began_between, needs_engine, picture, upload
from tests.stack.containers import Containers, docker

pytestmark = needs_engine


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
