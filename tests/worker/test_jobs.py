"""The edge of a job: what the worker's log says when a job cannot be done now."""

import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from imagestore.service import ImageStore
from imagestore.settings import Settings
from worker import jobs


@pytest.mark.parametrize("job", [jobs.work_on_task, jobs.call_back, jobs.render_presets])
def test_a_job_without_the_database_is_one_warning_and_no_traceback(
    job: Callable[[int], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    nobody_listens = "mysql://user:word@127.0.0.1:1/nothing"
    settings = Settings.from_env(
        {
            "DATA_DIR": str(tmp_path),
            "DATABASE_URL": nobody_listens,
            "REDIS_URL": "redis://127.0.0.1:1/0",
        }
    )
    monkeypatch.setattr(jobs, "_open", lambda: ImageStore.open(settings))

    with caplog.at_level(logging.WARNING, logger="worker.jobs"):
        job(7)

    (line,) = [record for record in caplog.records if record.name == "worker.jobs"]
    said = "a job could not be done now: database-unavailable: the database does not answer"
    assert line.getMessage() == said
    assert line.exc_info is None
