"""What the queue tells about itself, on a real Redis."""

import time
from collections.abc import Iterator
from contextlib import closing

import pytest
from redis import Redis
from rq.job import Job as RQJob
from rq.serializers import JSONSerializer

from imagestore.errors import QueueUnavailable
from imagestore.jobqueue import DOWNLOADS, PICTURES, QUEUES, RENDER, WORK, Job, JobQueue
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


def due_now(redis: Server) -> None:
    """Time passes for what is put off."""
    with Redis(port=redis.port) as client:
        for word in client.zrange("later:pictures", 0, -1):
            client.zadd("later:pictures", {word: time.time() - 1})


def test_a_job_put_off_is_sent_once_its_time_has_come(redis: Server) -> None:
    with closing(JobQueue(f"redis://127.0.0.1:{redis.port}/0")) as queue:
        job = Job(RENDER, 7, "demo", rev=3, tries=2, origin="request-1")

        assert queue.put_off(PICTURES, job, 60)
        assert (queue.send_due(PICTURES), queue.length(PICTURES)) == (0, 0)
        due_now(redis)
        assert (queue.send_due(PICTURES), queue.length(PICTURES)) == (1, 1)
        assert (queue.send_due(PICTURES), queue.length(PICTURES)) == (0, 1)

    with Redis(port=redis.port) as client:
        sent = RQJob.fetch(job.id, connection=client, serializer=JSONSerializer)
    assert (sent.description, list(sent.args)) == ("presets of image 7 demo", [7])
    assert (sent.meta["request_id"], sent.meta["tries"]) == ("request-1", 2)


def test_no_more_than_ten_thousand_jobs_are_put_off(redis: Server) -> None:
    with closing(JobQueue(f"redis://127.0.0.1:{redis.port}/1")) as queue:
        with Redis(port=redis.port, db=1) as client:
            client.zadd("later:pictures", {str(number): 9e9 for number in range(9_999)})

        assert [queue.put_off(PICTURES, Job(RENDER, number), 60) for number in (1, 2)] == [True, False]
