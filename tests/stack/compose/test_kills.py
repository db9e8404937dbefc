"""Services of the container stack that are killed, or go down and come up again."""

import time

import pytest

from tests.servers import wait_until
from tests.stack.compose.load import Load, began_between, needs_engine, picture, upload
from tests.stack.containers import SERVICES, Containers

pytestmark = needs_engine


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
