"""The client on a real server."""

import io
from pathlib import Path

import pytest

from imagestore.client import Conflict, Download, NotThere, Refused, Rejected, Submitted, srcset
from tests.commands.conftest import Served
from tests.origin import answer
from tests.pictures import encode, opened, plain

RED = encode(plain((200, 0, 0)), "png").data
BLUE = encode(plain((0, 0, 200)), "png").data


class Pipe(io.RawIOBase):
    """A stream that cannot be rewound."""

    def __init__(self, body: bytes) -> None:
        self._rest = io.BytesIO(body)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # as io calls it
        return self._rest.readinto(buffer)


def test_a_picture_lives_and_ends(served: Served, tmp_path: Path) -> None:
    client, file = served.client, tmp_path / "red.png"
    file.write_bytes(RED)

    stored = client.upload(file, domain="life", dkey="a/ü.png", metadata={"title": "Rot"})
    again = client.upload(io.BufferedReader(Pipe(RED)), domain="life", dkey="a/ü.png")
    with pytest.raises(Conflict) as conflict:
        client.upload(BLUE, domain="life", dkey="a/ü.png")
    replaced = client.replace(stored.image, BLUE, unless_changed=True).image
    with pytest.raises(Conflict):
        client.edit(stored.image, {"title": "Blau"}, unless_changed=True)
    edited = client.edit("life/a/ü.png", {"title": None, "by": "me"})

    assert (stored.created, again.created) == (True, False)
    assert conflict.value.problem.name == "key-conflict"
    assert (replaced.id, replaced.rev > stored.image.rev) == (stored.image.id, True)
    assert edited.user_metadata == {"by": "me"}
    assert client.read("life/a/ü.png") == client.read(replaced) == BLUE
    assert opened(client.read(replaced.sha256, width=16, format="png")).size == (16, 12)
    assert client.info(replaced.md5sum) == client.info(edited)
    assert client.delete(edited, unless_changed=True)
    assert not client.delete(edited)
    with pytest.raises(NotThere):
        client.info(edited)


def test_lists_go_over_pages(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imagestore.client.connection.PAGE", 2)
    for number in range(5):
        served.client.upload(RED, domain="pages", dkey=f"{number % 2}/{number}&.png")

    names = [image.dkey for image in served.client.images("pages")]
    some = [image.dkey for image in served.client.images("pages", prefix="0/", after="0/0&.png")]

    assert names == ["0/0&.png", "0/2&.png", "0/4&.png", "1/1&.png", "1/3&.png"]
    assert some == ["0/2&.png", "0/4&.png"]


def test_addresses_and_srcset_are_answered(served: Served) -> None:
    image = served.client.upload(RED, domain="addresses").image

    candidates = srcset(served.client.urls, image, widths=(16, 32, 4000), ratio=1, gravity="0,0")

    for candidate in candidates.split(", "):
        address, width = candidate.split()
        assert opened(served.stack.http.get(address).content).width == int(width.removesuffix("w"))
    assert len(candidates.split(", ")) == 3


def test_downloads_end_and_tell_why(served: Served) -> None:
    tasks = served.client.tasks
    served.origin.paths["/client.png"] = answer(200, {"Content-Type": "image/png"}, RED)
    good, bad = (served.origin.url(path) for path in ("/client.png", "/nothing-here"))

    ended = tasks.wait(tasks.submit(Download(good, domain="fetched", metadata={"a": 1})), timeout_s=30)
    wishes = [Download(bad, domain="fetched"), Download("ftp://x/"), Download(good, domain="fetched")]
    outcomes = list(tasks.submit_many(wishes, idempotency_key="once"))
    repeated = list(tasks.submit_many(wishes, idempotency_key="once"))
    submitted = [outcome for outcome in outcomes if isinstance(outcome, Submitted)]
    failed = tasks.wait(submitted[0].id, timeout_s=30)

    assert ended.flag == "succeed"
    assert served.client.info(ended.image_id or 0).user_metadata == {"a": 1}
    assert [(outcome.line, type(outcome)) for outcome in outcomes] == [
        (1, Submitted),
        (2, Rejected),
        (3, Submitted),
    ]
    assert repeated == outcomes
    assert (failed.flag, failed.problem) == ("failed", "http-404")
    assert failed in tasks.all(flag="failed", reason="http-404", domain="fetched")
    assert tasks.summary("fetched")["flags"]["failed"] == 1
    assert tasks.retry_failed(reason="http-404", domain="fetched") == 1
    assert tasks.wait(failed, timeout_s=30).attempts >= 1
    with pytest.raises(Conflict):
        tasks.withdraw(ended)
    with pytest.raises(Refused) as refused:
        served.client.download(Download(bad, domain="fetched"))
    assert refused.value.problem.name == "fetch-failed"


def test_an_upload_may_wait_for_a_worker(served: Served) -> None:
    tasks = served.client.tasks

    ended = tasks.wait(served.client.upload_later(RED, domain="later", dkey="x.png"), timeout_s=30)

    assert ended.flag == "succeed"
    assert served.client.read("later/x.png") == RED


def test_health_names_the_parts(served: Served) -> None:
    assert served.client.health()["checks"]["database"] is True
