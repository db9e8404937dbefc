from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.imagestack import ImageStack, image_stack


@pytest.fixture(scope="session")
def shared_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ImageStack]:
    """One stack for all tests that neither break it nor count what it does."""
    with image_stack(tmp_path_factory.mktemp("stack")) as stack:
        yield stack


@pytest.fixture
def own_stack(tmp_path: Path) -> Iterator[ImageStack]:
    """A stack that a test may break."""
    with image_stack(tmp_path / "stack") as stack:
        yield stack
