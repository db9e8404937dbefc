"""Stacks that must survive every attack; what they logged is looked at in the end."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import pictures
from tests.imagestack import ImageStack, image_stack


@pytest.fixture(scope="session")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ImageStack]:
    """A stack with a few pictures; after the last attack its API must have logged no bug."""
    yield from _survivor(tmp_path_factory.mktemp("attacked"))


@pytest.fixture(scope="module")
def emptied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ImageStack]:
    """The same, for attacks that may remove what others need."""
    yield from _survivor(tmp_path_factory.mktemp("emptied"))


def _survivor(folder: Path) -> Iterator[ImageStack]:
    with image_stack(folder) as stack:
        for seed in range(3):
            stack.upload(pictures.photo(60, 40, seed=seed), "demo", f"photo-{seed}.jpg")
        yield stack
        assert stack.http.get("/health/ready").status_code == 200
        assert "Traceback" not in stack.api.log.read_text()
