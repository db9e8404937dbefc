"""What counts as a failure of the database or of the store."""

import pytest
from prometheus_client import REGISTRY

from imagestore.errors import (
    DatabaseUnavailable,
    ImagestoreError,
    InsufficientStorage,
    KeyConflict,
    OriginalDamaged,
    OriginalMissing,
    PreconditionFailed,
    QuotaExceeded,
    StorageUnavailable,
)
from imagestore.metrics import database_operation, store_operation


def failures(of: str, operation: str) -> float:
    return REGISTRY.get_sample_value(f"imagestore_{of}_failures_total", {"operation": operation}) or 0


@pytest.mark.parametrize(
    ("error", "count"),
    [
        (KeyConflict("the name is taken"), 0),
        (PreconditionFailed("it was changed"), 0),
        (QuotaExceeded("the quota is used up"), 0),
        (DatabaseUnavailable("no answer"), 1),
        (InsufficientStorage("the disk is full"), 1),
        (ZeroDivisionError("a bug"), 1),
    ],
)
def test_database_fails_when_it_does_not_answer_and_not_when_it_says_no(error: Exception, count: int) -> None:
    before = failures("database", "write")

    with pytest.raises(type(error)), database_operation("write"):
        raise error

    assert failures("database", "write") - before == count


@pytest.mark.parametrize(
    ("error", "count"),
    [(OriginalMissing("not there"), 0), (OriginalDamaged("other bytes"), 1), (StorageUnavailable("away"), 1)],
)
def test_store_fails_when_it_does_not_answer_and_not_when_it_lacks_one(
    error: ImagestoreError, count: int
) -> None:
    before = failures("store", "fetch")

    with pytest.raises(type(error)), store_operation("fetch"):
        raise error

    assert failures("store", "fetch") - before == count
