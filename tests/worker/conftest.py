from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.origin import Origin, origin
from tests.taskstack import TaskStack, task_stack


@pytest.fixture(scope="session")
def pictures_origin() -> Iterator[Origin]:
    """A web server that tests teach what to answer, under paths of their own."""
    with origin() as server:
        yield server


@pytest.fixture(scope="session")
def shared_tasks(tmp_path_factory: pytest.TempPathFactory, pictures_origin: Origin) -> Iterator[TaskStack]:
    """API and one worker for all tests that break nothing."""
    presets = {"PRESETS": "thumb=width=20&height=20&fit=cover;wide=width=60&format=webp"}
    with task_stack(tmp_path_factory.mktemp("tasks"), pictures_origin, **presets) as stack:
        stack.start_worker()
        yield stack
        assert set(stack.stop_workers()) == {0}


@pytest.fixture
def own_tasks(tmp_path: Path, pictures_origin: Origin) -> Iterator[TaskStack]:
    """A stack that a test may break; it has no worker yet."""
    with task_stack(tmp_path / "tasks", pictures_origin) as stack:
        yield stack
