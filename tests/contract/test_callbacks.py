"""Callbacks: signed as the Standard Webhooks specification says, delivered to a real receiver."""

import base64
import time
from collections.abc import Iterator

import pytest

from imagestore.callbacks import CallbackSender, sign, signing_key, verify
from imagestore.errors import FetchFailed, InvalidURL
from tests import origin as web
from tests.origin import Origin

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER_SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()

VECTOR_BODY = b'{"test": 2432232314}'
VECTOR_HEADERS = {
    "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "webhook-timestamp": "1614265330",
    "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
}
"""From the test of the specification's reference libraries ("sign function works"), with `SECRET`."""

BODY = '{"id": 7, "flag": "succeed", "domain": "é"}'.encode()


@pytest.fixture
def receiver() -> Iterator[Origin]:
    with web.origin({"/hook": web.answer(204)}) as running:
        yield running


def sender(receiver: Origin, *, total_timeout_s: float = 10) -> CallbackSender:
    return CallbackSender(
        allow=[receiver.service], user_agent="imagestore-test/1", total_timeout_s=total_timeout_s
    )


def failure(receiver: Origin, *, total_timeout_s: float = 10) -> FetchFailed:
    with pytest.raises(FetchFailed) as caught:
        sender(receiver, total_timeout_s=total_timeout_s).deliver(
            receiver.url("/hook"), "evt_7", BODY, SECRET
        )
    return caught.value


def test_signature_is_that_of_the_published_example() -> None:
    signed = sign(SECRET, VECTOR_HEADERS["webhook-id"], 1614265330, VECTOR_BODY)

    assert signed == VECTOR_HEADERS
    assert verify(SECRET, VECTOR_HEADERS, VECTOR_BODY, now=1614265330)


@pytest.mark.parametrize(
    ("changes", "body", "now"),
    [
        ({}, VECTOR_BODY + b" ", 1614265330),
        ({"webhook-id": "msg_other"}, VECTOR_BODY, 1614265330),
        ({"webhook-timestamp": "1614265331"}, VECTOR_BODY, 1614265330),
        ({"webhook-timestamp": "١614265330"}, VECTOR_BODY, 1614265330),
        ({"webhook-timestamp": ""}, VECTOR_BODY, 1614265330),
        ({"webhook-timestamp": "1614265330.0"}, VECTOR_BODY, 1614265330),
        ({"webhook-signature": ""}, VECTOR_BODY, 1614265330),
        ({"webhook-signature": "v1,"}, VECTOR_BODY, 1614265330),
        ({"webhook-signature": "v1,é"}, VECTOR_BODY, 1614265330),
        ({"webhook-signature": "v2" + VECTOR_HEADERS["webhook-signature"][2:]}, VECTOR_BODY, 1614265330),
        ({"webhook-signature": VECTOR_HEADERS["webhook-signature"][3:]}, VECTOR_BODY, 1614265330),
        ({}, VECTOR_BODY, 1614265330 + 301),
        ({}, VECTOR_BODY, 1614265330 - 301),
    ],
)
def test_anything_else_does_not_verify(changes: dict[str, str], body: bytes, now: float) -> None:
    assert not verify(SECRET, VECTOR_HEADERS | changes, body, now=now)


def test_another_secret_does_not_verify() -> None:
    assert not verify(OTHER_SECRET, VECTOR_HEADERS, VECTOR_BODY, now=1614265330)


def test_one_of_several_signatures_is_enough() -> None:
    two = sign(OTHER_SECRET, VECTOR_HEADERS["webhook-id"], 1614265330, VECTOR_BODY)["webhook-signature"]
    headers = VECTOR_HEADERS | {"webhook-signature": f"{two} {VECTOR_HEADERS['webhook-signature']}"}

    assert verify(SECRET, headers, VECTOR_BODY, now=1614265330 + 300)
    assert verify(OTHER_SECRET, headers, VECTOR_BODY, now=1614265330 - 300)


@pytest.mark.parametrize(
    "secret",
    [
        *("", "whsec_", SECRET[6:], SECRET + "\n", "whsec_!" + SECRET[7:], "whsec_é" + SECRET[7:]),
        *("whsec_" + base64.b64encode(bytes(count)).decode() for count in (23, 65)),
    ],
)
def test_what_is_no_secret_is_refused_without_telling_it(secret: str) -> None:
    with pytest.raises(ValueError, match="24 to 64 bytes") as caught:
        signing_key(secret)

    assert secret[6:] not in str(caught.value) or not secret[6:]


@pytest.mark.parametrize("event_id", ["", "a.b", "a\r\nb", "é"])
def test_event_id_that_would_blur_what_is_signed_is_refused(event_id: str) -> None:
    with pytest.raises(ValueError, match="without a dot"):
        sign(SECRET, event_id, 0, b"")


def test_receiver_gets_the_body_and_can_verify_it(receiver: Origin) -> None:
    sender(receiver).deliver(receiver.url("/hook?token=1"), "evt_7", BODY, SECRET)

    (request,) = receiver.requests
    assert (request.method, request.target, request.body) == ("POST", "/hook?token=1", BODY)
    assert request.headers["content-type"] == "application/json"
    assert request.headers["content-length"] == str(len(BODY))
    assert request.headers["user-agent"] == "imagestore-test/1"
    assert request.headers["webhook-id"] == "evt_7"
    assert abs(int(request.headers["webhook-timestamp"]) - time.time()) < 5
    assert verify(SECRET, request.headers, request.body)
    assert not {"authorization", "cookie"} & set(request.headers)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_every_2xx_counts_as_received(receiver: Origin, status: int) -> None:
    receiver.paths["/hook"] = web.raw(b"HTTP/1.1 %d \r\nContent-Length: 0\r\n\r\n" % status)

    sender(receiver).deliver(receiver.url("/hook"), "evt_7", BODY, SECRET)

    assert [request.target for request in receiver.requests] == ["/hook"]


@pytest.mark.parametrize(
    ("status", "passing"),
    [
        *((302, True), (304, True), (400, True), (404, True), (410, False)),
        *((429, True), (500, True), (503, True)),
    ],
)
def test_any_other_status_is_a_failure(receiver: Origin, status: int, passing: bool) -> None:
    receiver.paths["/hook"] = web.answer(status, {"Retry-After": "30", "Location": "/elsewhere"})

    failed = failure(receiver)

    assert (failed.reason, failed.passing, failed.retry_after_s) == (f"http-{status}", passing, 30)
    assert failed.detail.startswith(f"receiver answered {status}")
    assert len(receiver.requests) == 1


@pytest.mark.parametrize(
    "behaviour", [web.endless, web.answer(200, {"Content-Encoding": "br"}, b"ok", length=9)]
)
def test_answer_of_the_receiver_is_not_read(receiver: Origin, behaviour: web.Behaviour) -> None:
    receiver.paths["/hook"] = behaviour
    began = time.monotonic()

    sender(receiver).deliver(receiver.url("/hook"), "evt_7", BODY, SECRET)

    assert time.monotonic() - began < 2


@pytest.mark.parametrize(
    "behaviour", [web.hang, web.drip(b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 50)], ids=["silent", "slow"]
)
def test_slow_receiver_is_left_at_the_deadline(receiver: Origin, behaviour: web.Behaviour) -> None:
    receiver.paths["/hook"] = behaviour
    began = time.monotonic()

    failed = failure(receiver, total_timeout_s=0.5)

    assert (failed.reason, failed.passing) == ("timeout", True)
    assert time.monotonic() - began < 2.5


def test_receiver_that_is_away_may_come_back() -> None:
    with web.origin() as gone:
        pass

    failed = failure(gone)

    assert (failed.reason, failed.passing) == ("connect", True)


def test_url_outside_the_grammar_is_refused(receiver: Origin) -> None:
    with pytest.raises(InvalidURL):
        sender(receiver).deliver("http://me:secret@127.0.0.1/", "evt_7", BODY, SECRET)
