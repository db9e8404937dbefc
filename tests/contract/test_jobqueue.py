"""What the queue tells about itself, on a real Redis."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from imagestore.errors import QueueUnavailable
from imagestore.jobqueue import DOWNLOADS, QUEUES, WORK, Job, JobQueue
from tests.servers import Server, free_port, redis_server, wait_until


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with redis_server(tmp_path_factory.mktemp("redis")) as running:
        yield running


def test_backlog_is_what_waits_and_for_how_long(redis: Server) -> None:
    with closing(JobQueue(f"redis://127.0.0.1:{redis.port}/0")) as queue:
        queue.send(DOWNLOADS, [Job(WORK, number) for number in (1, 2, 3)])
        wait_until(lambda: any(one.oldest_s > 0.05 for one in queue.backlogs()), what="the first job waits")

        found = {one.queue: one for one in queue.backlogs()}

        assert found.keys() == set(QUEUES)
        assert {name: one.jobs for name, one in found.items()} == {**dict.fromkeys(QUEUES, 0), DOWNLOADS: 3}
        assert 0.05 < found[DOWNLOADS].oldest_s < 60
        assert queue.workers() == 0


def test_backlog_of_a_queue_that_is_away_is_not_known() -> None:
    with closing(JobQueue(f"redis://127.0.0.1:{free_port()}/0")) as queue, pytest.raises(QueueUnavailable):
        queue.backlogs()
