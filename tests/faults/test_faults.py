"""Whatever is killed, hangs, fills up or jumps: nothing acknowledged is lost, and all comes back by itself.

make test-faults            every fault once
make test-faults ROUNDS=3   three times
make test-faults REPORT=1   and write the table of docs/reliability.md
"""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.faults.catalogue import BUCKET, CLOCKS, DISKS, PROCESSES, Fault
from tests.faults.checker import losses
from tests.faults.journal import Journal
from tests.faults.ledger import Ledger
from tests.faults.load import steady_load
from tests.faults.report import table, write_section
from tests.faults.system import system
from tests.faults.trial import Outcome, suffer
from tests.mariadb import MariaDB

pytestmark = pytest.mark.skipif(not os.environ.get("FAULT_TESTS"), reason="takes minutes: make test-faults")

ROUNDS = int(os.environ.get("ROUNDS") or 1)
ONLY = os.environ.get("ONLY", "")

STALE_S = 15
"""The oldest that a read may show of what was replaced: after the API process that owed Redis the news
died, another one looks for such debts every 10 s."""


@pytest.fixture(scope="module")
def outcomes() -> Iterator[list[Outcome]]:
    """What every fault did; printed, and written into the document if that is wanted."""
    found: list[Outcome] = []
    yield found
    text = table(found)
    print("\n" + text)
    if os.environ.get("REPORT"):
        write_section("faults", text)


@pytest.mark.parametrize(
    ("faults", "parts"),
    [
        pytest.param(PROCESSES, {}, id="processes"),
        pytest.param(BUCKET, {"s3": True}, id="bucket"),
        pytest.param(DISKS, {"disks": True}, id="disks"),
        pytest.param(CLOCKS, {"clock": True}, id="clocks"),
    ],
)
def test_nothing_acknowledged_is_lost_and_all_comes_back(
    tmp_path: Path,
    durable_mariadb: MariaDB,
    outcomes: list[Outcome],
    faults: Sequence[Fault],
    parts: dict[str, Any],
) -> None:
    chosen = [fault for fault in faults if ONLY in fault.name]
    if not chosen:
        pytest.skip(f"no fault here has {ONLY!r} in its name")
    journal, ledger = Journal(), Ledger()
    with system(tmp_path / "s", durable_mariadb, **parts) as running:
        with steady_load(running.images.address, running.origin, ledger, journal) as load:
            mine = suffer(running, load, chosen, ROUNDS)
        outcomes += mine

        lost = losses(running, ledger)
        bugs = running.bugs()

    for loss in lost:
        blamed = [one for one in mine if one.started <= loss.given <= one.ended] or mine[-1:]
        blamed[0].lost += 1
    complaints = [f"{one.fault.name}: {what}" for one in mine for what in one.complaints]
    assert [loss.what for loss in lost] == []
    assert not complaints, "\n".join([*complaints, *bugs])
    assert bugs == []
    assert max(one.stalest_s for one in mine) <= STALE_S
