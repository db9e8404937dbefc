"""The queue dashboard over a real Redis: its login, what it shows, and what it refuses."""

import base64
import json
from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient
from redis import Redis
from rq import Queue, Worker
from rq.job import Job
from rq.registry import FailedJobRegistry
from rq.serializers import JSONSerializer

from tests.servers import redis_server
from worker import dashboard

LOGIN = {"Authorization": "Basic " + base64.b64encode(b"admin:open sesame").decode()}


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        with Redis(port=server.port) as connection:
            connection.config_set("requirepass", "secret-of-redis")
        yield f"redis://:secret-of-redis@127.0.0.1:{server.port}/0"


@pytest.fixture(scope="module")
def client(redis_url: str) -> FlaskClient:
    return dashboard.build(redis_url, "admin:open sesame").test_client()


@pytest.fixture
def failed(redis_url: str) -> Iterator[Job]:
    """A job that failed, with JSON for its arguments."""
    with Redis.from_url(redis_url) as connection:
        connection.flushall()
        queue = Queue("downloads", connection=connection, serializer=JSONSerializer)
        job = queue.enqueue("worker.jobs.nothing", 17)
        queue.remove(job)
        FailedJobRegistry(queue=queue).add(job, ttl=600)
        yield job


def basic(login: bytes) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(login).decode()}


@pytest.mark.parametrize(
    "headers",
    [{}, basic(b"admin:wrong"), basic(b"admin"), basic(b":open sesame"), {"Authorization": "Basic ?"}],
)
def test_dashboard_asks_for_the_login(client: FlaskClient, headers: dict[str, str]) -> None:
    answer = client.get("/rq/", headers=headers)

    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Basic ")


def test_page_shows_no_password(client: FlaskClient) -> None:
    page = client.get("/rq/", headers=LOGIN)

    assert page.status_code == 200
    assert "secret-of-redis" not in page.text


def test_page_of_a_job_reads_json(client: FlaskClient, failed: Job) -> None:
    page = client.get(f"/rq/0/view/job/{failed.id}", headers=LOGIN)
    facts = client.get(f"/rq/0/data/job/{failed.id}.json", headers=LOGIN)

    assert page.status_code == 200
    assert "17" in json.loads(facts.text)["description"]


def test_page_of_workers_shows_what_a_busy_one_works_on(
    client: FlaskClient, redis_url: str, failed: Job
) -> None:
    with Redis.from_url(redis_url) as connection:
        queue = Queue("downloads", connection=connection, serializer=JSONSerializer)
        worker = Worker([queue], connection=connection, serializer=JSONSerializer)
        worker.register_birth()
        worker.prepare_execution(failed)

        answer = client.get("/rq/0/data/workers.json", headers=LOGIN)

    assert answer.status_code == 200
    (shown,) = json.loads(answer.text)["workers"]
    assert shown["current_job"]["job_id"] == failed.id
    assert "17" in shown["current_job"]["call_string"]


def test_page_of_workers_bears_a_job_that_ended_a_moment_ago(
    client: FlaskClient, redis_url: str, failed: Job
) -> None:
    with Redis.from_url(redis_url) as connection:
        queue = Queue("downloads", connection=connection, serializer=JSONSerializer)
        worker = Worker([queue], connection=connection, serializer=JSONSerializer)
        worker.register_birth()
        worker.prepare_execution(failed)
        connection.delete(failed.key)

        answer = client.get("/rq/0/data/workers.json", headers=LOGIN)

    assert answer.status_code == 200
    (shown,) = json.loads(answer.text)["workers"]
    assert shown["current_job"] == "idle"


def test_get_requeues_nothing(client: FlaskClient, failed: Job) -> None:
    answer = client.get("/rq/requeue/downloads", headers=LOGIN)

    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")
    assert failed.id in FailedJobRegistry("downloads", connection=failed.connection)


def test_head_requeues_nothing(client: FlaskClient, failed: Job) -> None:
    answer = client.head("/rq/requeue/downloads", headers=LOGIN)

    assert answer.status_code == 405
    assert failed.id in FailedJobRegistry("downloads", connection=failed.connection)


def test_post_requeues(client: FlaskClient, failed: Job) -> None:
    answer = client.post("/rq/requeue/downloads", headers=LOGIN)

    assert answer.get_json() == {"status": "OK", "count": 1}
    assert failed.id in Queue("downloads", connection=failed.connection).job_ids


def test_post_from_another_site_is_refused(client: FlaskClient, failed: Job) -> None:
    answer = client.post("/rq/requeue/downloads", headers={**LOGIN, "Sec-Fetch-Site": "cross-site"})

    assert answer.status_code == 403
    assert failed.id in FailedJobRegistry("downloads", connection=failed.connection)


def test_health_needs_no_login(client: FlaskClient) -> None:
    assert client.get("/health/live").status_code == 200


@pytest.mark.parametrize("login", ["", "admin", "admin:", ":password"])
def test_no_login_is_no_dashboard(redis_url: str, login: str) -> None:
    with pytest.raises(ValueError, match="DASHBOARD_LOGIN"):
        dashboard.build(redis_url, login)
