"""Redis behind Sentinels: what readers see while the master is dead, and after another one took over."""

import contextlib
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from imagestore.cache import Cache
from imagestore.diagnosis import Check, examine
from imagestore.errors import QueueUnavailable
from imagestore.jobqueue import DOWNLOADS, WORK, Job, JobQueue
from imagestore.settings import Settings
from tests.front import MD5, PICTURE, PICTURE_FIELD, RECORD, SHA, Front, front
from tests.sentinels import PASSWORD, SENTINEL_PASSWORD, Watched, watched_redis
from tests.servers import Server, wait_until

URL = f"/image/read?id={RECORD.id}&w=300"

FOLLOWS_S = 5
"""From the Sentinels' word to hits again: a pause of the breaker (1 s), with room for a busy machine."""


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    """For tests that change the master."""
    with watched_redis(tmp_path / "watched") as servers:
        yield servers


@pytest.fixture
def running(tmp_path: Path, watched: Watched) -> Iterator[Front]:
    with asking_front(tmp_path / "front", redis_url=watched.url) as whole:
        wait_until(lambda: hit(whole), what="hits of nginx")
        yield whole


@pytest.fixture(scope="module")
def steady(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """For tests after which everything runs again, with the same master."""
    with watched_redis(tmp_path_factory.mktemp("steady")) as servers:
        yield servers


def asking_front(folder: Path, *, redis_url: str) -> contextlib.AbstractContextManager[Front]:
    """Without memory for records and pictures: each request asks Redis."""
    return front(folder, redis_url=redis_url, RECORD_MEMORY_S="0", PICTURE_MEMORY="off")


@contextlib.contextmanager
def killed(*servers: Server) -> Iterator[None]:
    for server in servers:
        server.kill()
    try:
        yield
    finally:
        for server in servers:
            server.start()


@contextlib.contextmanager
def paused(*servers: Server) -> Iterator[None]:
    for server in servers:
        server.pause()
    try:
        yield
    finally:
        for server in servers:
            server.resume()


def hit(running: Front) -> bool:
    answer = running.http.get(URL)
    assert answer.status_code == 200
    return answer.headers.get("X-Cache") == "redis"


def cached(running: Front) -> bool:
    return running.cache.record(RECORD.id) == RECORD and running.cache.picture(SHA, PICTURE_FIELD) is not None


def test_hits_and_jobs_are_at_the_new_master_when_the_old_one_died(watched: Watched, running: Front) -> None:
    first, second = watched.servers
    with closing(JobQueue(watched.url)) as queue:
        queue.send(DOWNLOADS, [Job(WORK, 1)])
        running.raw.execute_command("WAIT", "1", "5000")

        first.kill()
        with pytest.raises(QueueUnavailable):
            queue.length(DOWNLOADS)
        for _ in range(20):
            began = time.monotonic()
            assert running.http.get(URL).content in (b"from the API", PICTURE.body)
            assert running.cache.record(RECORD.id) in (None, RECORD)
            assert time.monotonic() - began < 1.5
        watched.wait_for(second)

        wait_until(lambda: hit(running), what="hits of nginx", timeout_s=FOLLOWS_S)
        wait_until(lambda: cached(running), what="hits of Python", timeout_s=FOLLOWS_S)
        assert running.cache.publish(RECORD, sums=[MD5])
        wait_until(queue.check, what="the queue is back", timeout_s=FOLLOWS_S)
        queue.send(DOWNLOADS, [Job(WORK, 2)])
        assert queue.numbers(DOWNLOADS, WORK) == {1, 2}
    log = running.nginx.log.read_text()
    assert f"the master is 127.0.0.1 {second.port}" in log
    assert PASSWORD not in log
    assert SENTINEL_PASSWORD not in log


def test_writes_follow_when_the_old_master_lives_on_as_a_replica(watched: Watched, running: Front) -> None:
    _, second = watched.servers

    watched.hand_over()
    watched.wait_for(second)

    wait_until(lambda: running.cache.publish(RECORD), what="writes of Python", timeout_s=FOLLOWS_S)
    wait_until(lambda: hit(running), what="hits of nginx", timeout_s=FOLLOWS_S)
    # All workers of nginx by now, and not only the one that asked.
    time.sleep(1.1)
    assert all(hit(running) for _ in range(40))


def test_a_master_that_is_cut_off_is_not_believed_and_left(watched: Watched, running: Front) -> None:
    first, second = watched.servers
    with running.raw as client:
        client.execute_command("WAIT", "1", "5000")

    watched.part()
    newer = replace(RECORD, rev=RECORD.rev + 1)
    wait_until(lambda: running.cache.publish(newer), what="writes of Python", timeout_s=FOLLOWS_S)

    assert running.cache.record(RECORD.id) == newer
    wait_until(lambda: hit(running), what="hits of nginx", timeout_s=FOLLOWS_S)
    with watched.client(first) as old, watched.client(second) as new:
        old.select(2)
        new.select(2)
        revs = [server.hget(f"record:{RECORD.id}", "rev") for server in (old, new)]
    assert revs == [b"1", b"2"]


def test_nobody_waits_longer_for_sentinels_than_for_redis(steady: Watched, tmp_path: Path) -> None:
    servers = (*steady.servers, *steady.sentinels)
    with asking_front(tmp_path, redis_url=steady.url) as running:
        wait_until(lambda: hit(running), what="hits of nginx")

        def by_cache() -> None:
            with closing(new_cache(steady.url)) as fresh:
                assert fresh.record(RECORD.id) is None

        def by_nginx() -> None:
            assert running.http.get(URL).content == b"from the API"

        with paused(*servers):
            # 0.3 s for all three together; a machine that is busy gets the rest.
            assert quickest(by_cache) < 0.6
            assert quickest(by_nginx) < 0.6

    wait_until(lambda: steady.master_port() > 0, what="the Sentinels agree")


def test_one_sentinel_is_enough_to_find_the_master(steady: Watched, tmp_path: Path) -> None:
    # Logins with a name, and a Sentinel by name, are read by nginx and by Python.
    url = steady.url.replace("://:", "://default:").replace("127.0.0.1", "localhost", 1)
    url += "&sentinel_username=default"

    with killed(*steady.sentinels[:2]), asking_front(tmp_path, redis_url=url) as running:
        assert running.cache.publish(RECORD, sums=[SHA])
        wait_until(lambda: hit(running), what="hits of nginx", timeout_s=FOLLOWS_S)


def test_doctor_says_what_the_sentinels_say(steady: Watched, tmp_path: Path) -> None:
    settings = Settings.from_env({"DATA_DIR": str(tmp_path), "REDIS_URL": steady.url})

    def checks() -> dict[str, Check]:
        return {check.name: check for check in examine(settings)}

    well = checks()
    with killed(steady.sentinels[0]):
        ill = checks()

    named = f"all 3 name 127.0.0.1:{steady.master_port()}"
    assert (well["redis sentinels"].state, well["redis sentinels"].found) == ("ok", named)
    assert well["redis"].state == "ok"
    assert ill["redis sentinels"].state == "warning"
    assert f"127.0.0.1:{steady.sentinels[0].port}" in ill["redis sentinels"].found
    assert PASSWORD not in str(ill)
    assert SENTINEL_PASSWORD not in str(ill)


def quickest(ask: Callable[[], None]) -> float:
    """Seconds of the quickest of three, each after the pause in which nobody asks what was away."""
    took = []
    for _ in range(3):
        began = time.monotonic()
        ask()
        took.append(time.monotonic() - began)
        time.sleep(1.2)
    return min(took)


def new_cache(url: str) -> Cache:
    return Cache(url, record_ttl_s=600, picture_ttl_s=600, fields_max=64)
