"""What is served while a dependency is away or hung, and that all comes back by itself."""

import concurrent.futures
import functools
import itertools
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests import pictures
from tests.api.asking import workers
from tests.imagestack import ImageStack, image_stack
from tests.mariadb import MariaDB
from tests.servers import Server, wait_until
from tests.swift import make_bucket, s3_server, storage_url

LARGE = pictures.photo(1600, 1200, seed=61, quality=98)
"""Over 256 KiB, so that it is not kept in Redis."""

DEADLINE_S = 5
"""For every answer while something is away (the problem table, line 503)."""


@pytest.fixture(scope="module")
def mariadb_stack(
    tmp_path_factory: pytest.TempPathFactory, mariadb: MariaDB
) -> Iterator[tuple[ImageStack, Server]]:
    with mariadb.database() as name:
        folder = tmp_path_factory.mktemp("mariadb-stack")
        with image_stack(folder, DATABASE_URL=mariadb.url(name)) as stack:
            yield stack, mariadb.server


@pytest.fixture(scope="module")
def s3_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ImageStack, Server]]:
    folder = tmp_path_factory.mktemp("s3-stack")
    with s3_server(folder / "s3") as s3:
        make_bucket(s3, "originals")
        # Of the 5 s a busy machine needs more itself than the half second that the default leaves of an
        # upload (tests/contract/test_storage_bucket.py tests that one, and no more than the store).
        url = f"{storage_url(s3, 'originals')}&read_timeout=3"
        with image_stack(folder, STORAGE_URL=url) as stack:
            yield stack, s3


@dataclass
class Scene:
    """A stored picture, and its answers while all was well."""

    stack: ImageStack
    image_id: int
    thumbnail: str
    original: str

    @classmethod
    def set(cls, stack: ImageStack, name: str) -> "Scene":
        """Large enough not to lie in Redis, and asked for before."""
        image = stack.upload(LARGE, "scenes", name)
        scene = cls(stack, image["id"], f"/image/read?id={image['id']}&width=90", f"/scenes/{name}")
        assert stack.http.get(scene.original).content == LARGE
        assert stack.http.get(scene.thumbnail).status_code == 200
        # Not what nginx remembers for a second, but what it finds in Redis from now on.
        begun = time.monotonic()
        wait_until(lambda: time.monotonic() > begun + 1.1, what="nginx has forgotten")
        return scene


def unavailable(answer: httpx.Response, name: str) -> bool:
    assert answer.headers["Content-Type"] == "application/problem+json", answer.text
    assert answer.elapsed.total_seconds() < DEADLINE_S
    assert (answer.status_code, answer.json()["type"]) == (503, f"/problems/{name}"), answer.text
    return int(answer.headers["Retry-After"]) > 0


Ask = Callable[[], httpx.Response]


def at_once(asks: list[Ask]) -> list[httpx.Response]:
    """The answers to all, asked side by side, since each may wait for something that hangs."""
    with concurrent.futures.ThreadPoolExecutor(len(asks)) as clients:
        return list(clients.map(lambda ask: ask(), asks))


def gets(stack: ImageStack, *urls: str) -> list[Ask]:
    return [functools.partial(stack.http.get, url) for url in urls]


def uploads(stack: ImageStack) -> list[Ask]:
    """One by name and one by form, of pictures that are new."""
    first, second = (pictures.photo(30, 20, seed=time.monotonic_ns() % 2**32 + n) for n in range(2))
    return [
        functools.partial(stack.writer.put, "/scenes/while-away", content=first),
        functools.partial(stack.writer.post, "/image/upload", files={"file": second}),
    ]


def wait_for_uploads(stack: ImageStack) -> None:
    """Every process looks for itself whether what was away is back, about once a second."""
    wait_until(
        lambda: all(answer.is_success for answer in at_once(uploads(stack) * 2)),
        what="all processes take uploads again",
    )


def end_of(server: Server) -> tuple[Callable[[], None], Callable[[], object]]:
    return server.kill, server.start


def hang_of(server: Server) -> tuple[Callable[[], None], Callable[[], object]]:
    return server.pause, server.resume


NEW_WIDTHS = itertools.count(600)
"""More than the small base picture that the upload left is good for."""
"""Nobody has asked for these yet: the scenes share their bytes, and so their cached pictures."""

Outage = Callable[[Server], tuple[Callable[[], None], Callable[[], object]]]


@pytest.mark.parametrize("outage", [end_of, hang_of])
def test_without_the_database_cached_reads_work_and_the_rest_is_503(
    mariadb_stack: tuple[ImageStack, Server], outage: Outage
) -> None:
    stack, database = mariadb_stack
    scene = Scene.set(stack, f"database-{outage.__name__}")
    deleted = Scene.set(stack, f"deleted-{outage.__name__}")
    break_it, mend_it = outage(database)

    break_it()
    try:
        assert stack.http.get(scene.thumbnail).status_code == 200
        fresh = f"/image/read?id={scene.image_id}&width={next(NEW_WIDTHS)}"
        assert stack.http.get(fresh).status_code == 200
        assert stack.http.get(scene.original).content == LARGE
        assert stack.http.get(f"/images/{scene.image_id}").status_code == 200
        urls = ("/images", "/image/read?id=999999", "/scenes/never-seen", f"/image/read?sum={'0' * 32}")
        delete = functools.partial(stack.writer.delete, deleted.original)
        for answer in at_once([*gets(stack, *urls), *uploads(stack), delete]):
            assert unavailable(answer, "database-unavailable")
        assert stack.http.get("/health/live").status_code == 200
        ready = stack.http.get("/health/ready")
        assert (ready.status_code, ready.json()["checks"]["database"]) == (503, False)
        assert ready.elapsed.total_seconds() < 3
        assert list((stack.folder / "data" / "spool").iterdir()) == []
    finally:
        mend_it()

    stack.wait_ready()
    wait_for_uploads(stack)
    assert stack.http.get("/images").status_code == 200
    assert stack.writer.delete(deleted.original).status_code == 204


def test_api_that_starts_without_the_database_serves_and_needs_no_restart(
    tmp_path: Path, mariadb: MariaDB
) -> None:
    with mariadb.database() as name, image_stack(tmp_path, DATABASE_URL=mariadb.url(name)) as stack:
        scene = Scene.set(stack, "starting")
        fresh = f"/image/read?id={scene.image_id}&width={next(NEW_WIDTHS)}"
        first = set(workers(stack))

        mariadb.server.kill()
        try:
            for pid in first:
                os.kill(pid, signal.SIGKILL)
            wait_until(lambda: stack.http.get(fresh).status_code == 200, what="new processes serve")
            assert first.isdisjoint(workers(stack))
            assert unavailable(stack.http.get("/image/read?id=999999"), "database-unavailable")
        finally:
            mariadb.server.start()

        stack.wait_ready()
        wait_for_uploads(stack)
        assert stack.api.process is not None
        assert stack.api.process.poll() is None


def test_tables_are_made_when_a_database_that_was_away_at_the_start_answers(
    tmp_path: Path, mariadb: MariaDB
) -> None:
    with mariadb.database() as name, image_stack(tmp_path, DATABASE_URL=mariadb.url(name)) as stack:
        stack.api.stop()
        mariadb.execute(f"DROP DATABASE {name}")
        mariadb.execute(f"CREATE DATABASE {name} CHARACTER SET latin1")
        mariadb.server.kill()
        try:
            stack.api.start(timeout_s=40)
            wait_until(lambda: stack.http.get("/health/live").status_code == 200, what="the API serves")
        finally:
            mariadb.server.start()

        stack.wait_ready()
        wait_for_uploads(stack)


@pytest.mark.parametrize("outage", [end_of, hang_of])
def test_without_the_bucket_cached_pictures_work_and_the_rest_is_503(
    s3_stack: tuple[ImageStack, Server], outage: Outage
) -> None:
    stack, s3 = s3_stack
    scene = Scene.set(stack, f"bucket-{outage.__name__}")
    fresh = f"/image/read?id={scene.image_id}&width={next(NEW_WIDTHS)}"
    break_it, mend_it = outage(s3)

    break_it()
    try:
        assert stack.http.get(scene.thumbnail).status_code == 200
        assert stack.http.get(f"/images/{scene.image_id}").status_code == 200
        for answer in at_once([*gets(stack, scene.original, fresh), *uploads(stack)]):
            assert unavailable(answer, "storage-unavailable")
        assert stack.http.get("/health/live").status_code == 200
        ready = stack.http.get("/health/ready")
        assert (ready.status_code, ready.json()["checks"]["storage"]) == (503, False)
    finally:
        mend_it()

    stack.wait_ready()
    assert stack.http.get(scene.original).content == LARGE
    assert stack.http.get(fresh).status_code == 200
    wait_for_uploads(stack)


def test_a_bucket_that_hangs_holds_up_nothing_that_needs_no_original(
    s3_stack: tuple[ImageStack, Server],
) -> None:
    stack, s3 = s3_stack
    scene = Scene.set(stack, "crowd")
    # Twice as many as the API has threads (2 processes of 16), and four times what nginx lets through.
    crowd = [f"/image/read?id={scene.image_id}&width={next(NEW_WIDTHS)}" for _ in range(64)]
    bystanders = [f"/images/{scene.image_id}", "/images", scene.thumbnail]

    s3.pause()
    try:
        answers = at_once([*gets(stack, *crowd), *gets(stack, *bystanders)])
    finally:
        s3.resume()

    # Those that nginx let through learn the reason, and the others have it from there.
    for answer in answers[: len(crowd)]:
        assert unavailable(answer, "storage-unavailable")
    for answer in answers[len(crowd) :]:
        assert answer.status_code == 200
        assert answer.elapsed.total_seconds() < DEADLINE_S
    stack.wait_ready()
    wait_for_uploads(stack)


def test_originals_of_a_bucket_are_served_whole_and_in_parts(s3_stack: tuple[ImageStack, Server]) -> None:
    stack, _ = s3_stack
    small = pictures.photo(40, 30, seed=62)
    for name, body in {"large.jpg": LARGE, "small.jpg": small}.items():
        image = stack.upload(body, "bucket", name)
        etag = f'"{image["sha256"][:32]}"'
        for url in (f"/bucket/{name}", f"/image/read?id={image['id']}", f"/image/read?sum={image['md5sum']}"):
            for _ in range(2):
                whole = stack.http.get(url)
                head = stack.http.head(url)
                part = stack.http.get(url, headers={"Range": "bytes=100-199", "If-Range": etag})
                other = stack.http.get(url, headers={"Range": "bytes=100-199", "If-Range": '"x"'})
                same = stack.http.get(url, headers={"If-None-Match": f'W/"x", {etag}'})
                beyond = stack.http.get(url, headers={"Range": f"bytes={len(body)}-"})

                assert (whole.status_code, whole.content) == (200, body)
                assert (head.status_code, head.content) == (200, b"")
                assert int(head.headers["Content-Length"]) == len(body)
                assert (part.status_code, part.content) == (206, body[100:200])
                assert part.headers["Content-Range"] == f"bytes 100-199/{len(body)}"
                assert (other.status_code, other.content) == (200, body)
                assert (same.status_code, beyond.status_code) == (304, 416)
                for answer in (whole, head, part, other, same):
                    assert answer.headers["ETag"] == etag
                    assert answer.headers["X-Content-Type-Options"] == "nosniff"
                    assert answer.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
                    assert "max-age" in answer.headers["Cache-Control"]
                for answer in (whole, head, part, other):
                    assert answer.headers["Content-Type"] == "image/jpeg"
                    # Nothing of the store behind shows: neither its headers nor a signed URL.
                    inner = {"x-original-url", "x-accel-redirect", "x-openstack-request-id", "last-modified"}
                    assert inner.isdisjoint(answer.headers)
                    assert not any(name.startswith("x-amz") for name in answer.headers)


def test_without_the_folder_cached_pictures_work_and_the_rest_is_503(own_stack: ImageStack) -> None:
    scene = Scene.set(own_stack, "folder")
    fresh = f"/image/read?id={scene.image_id}&width={next(NEW_WIDTHS)}"
    originals = own_stack.folder / "data" / "originals"
    away = originals.with_name("away")

    originals.rename(away)
    assert own_stack.http.get(scene.thumbnail).status_code == 200
    # One that was never asked for is made from the base that the upload left.
    assert own_stack.http.get(f"/image/read?id={scene.image_id}&width=91").status_code == 200
    for answer in at_once([*gets(own_stack, scene.original, fresh), *uploads(own_stack)]):
        assert unavailable(answer, "storage-unavailable")
    ready = own_stack.http.get("/health/ready")
    assert (ready.status_code, ready.json()["checks"]["storage"]) == (503, False)
    shutil.rmtree(originals, ignore_errors=True)
    away.rename(originals)

    own_stack.wait_ready()
    assert own_stack.http.get(scene.original).content == LARGE
    assert own_stack.http.get(fresh).status_code == 200
    wait_for_uploads(own_stack)


@pytest.mark.parametrize("harm", ["cut", "gone", "empty"])
def test_a_damaged_original_is_never_served_as_if_it_were_whole(shared_stack: ImageStack, harm: str) -> None:
    body = pictures.photo(800, 600, seed=63 + len(harm), quality=95)
    image = shared_stack.upload(body, "damaged", harm)
    sha256 = image["sha256"]
    path = shared_stack.folder / "data" / "originals" / sha256[:2] / sha256[2:4] / sha256
    path.unlink()
    if harm != "gone":
        path.write_bytes(body[: len(body) // 2] if harm == "cut" else b"")

    for url in (f"/damaged/{harm}", f"/image/read?id={image['id']}", f"/image/read?sum={sha256}"):
        for options in ({}, {"Range": "bytes=0-9"}):
            assert unavailable(shared_stack.http.get(url, headers=options), "storage-unavailable")
    fresh = shared_stack.http.get(f"/image/read?id={image['id']}&width=80")
    assert unavailable(fresh, "storage-unavailable")

    # The same bytes sent again mend it.
    assert shared_stack.writer.put(f"/damaged/{harm}", content=body).status_code == 200
    assert shared_stack.http.get(f"/damaged/{harm}").content == body
    assert shared_stack.http.get(f"/image/read?id={image['id']}&width=80").status_code == 200


def test_damage_of_equal_length_is_never_rendered_and_then_not_served_at_all(
    shared_stack: ImageStack,
) -> None:
    body = pictures.photo(800, 600, seed=71, quality=95)
    image = shared_stack.upload(body, "damaged", "changed")
    sha256 = image["sha256"]
    path = shared_stack.folder / "data" / "originals" / sha256[:2] / sha256[2:4] / sha256
    path.unlink()
    path.write_bytes(body[:-1000] + bytes(1000))

    fresh = shared_stack.http.get(f"/image/read?id={image['id']}&width=80")

    assert unavailable(fresh, "storage-unavailable")
    wait_until(
        lambda: shared_stack.http.get("/damaged/changed").status_code == 503, what="the end of the file"
    )
    assert not path.exists()
    assert (path.parents[2] / ".quarantine" / sha256).exists()

    # The same bytes sent again mend it.
    assert shared_stack.writer.put("/damaged/changed", content=body).status_code == 200
    assert shared_stack.http.get("/damaged/changed").content == body
    assert shared_stack.http.get(f"/image/read?id={image['id']}&width=80").status_code == 200
