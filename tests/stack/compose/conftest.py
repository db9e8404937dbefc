"""The container stack that all tests of this folder share; each leaves it healthy."""

from collections.abc import Iterator

import pytest

from tests.stack.containers import Containers, container_stack


@pytest.fixture(scope="session")
def stack(request: pytest.FixtureRequest) -> Iterator[Containers]:
    with container_stack(keep_logs=lambda: request.session.testsfailed) as containers:
        yield containers
