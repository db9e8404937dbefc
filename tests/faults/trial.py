"""The run: fault after fault under one load, with what each did to the clients."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.faults.catalogue import Fault
from tests.faults.journal import KINDS, WRITE, Journal, Seen, unavailable_s
from tests.faults.load import Load
from tests.faults.system import System
from tests.servers import wait_until

RECOVERY_S = 30
"""Longer means that something would have had to be restarted by hand."""

QUIET_S = 1.0
"""Between two faults."""


@dataclass
class Outcome:
    """What one fault did."""

    fault: Fault
    started: float
    lifted: float
    ended: float
    acknowledged: int = 0
    lost: int = 0
    unavailable: dict[str, float] = field(default_factory=dict)
    slowest_s: float = 0.0
    stalest_s: float = 0.0
    complaints: list[str] = field(default_factory=list)


def suffer(system: System, load: Load, faults: Sequence[Fault], rounds: int = 1) -> list[Outcome]:
    """Let every fault happen `rounds` times. Under way: the load."""
    _wait_for_recovery(load.journal, time.monotonic(), "the load itself")
    return [_one(system, load, fault) for _ in range(rounds) for fault in faults]


def _one(system: System, load: Load, fault: Fault) -> Outcome:
    started = time.monotonic()
    for harm in fault.harms:
        harm.break_it(system)
    # The length of an outage is part of the experiment; nothing is waited for.
    time.sleep(fault.held_s)
    for harm in reversed(fault.harms):
        harm.mend(system)
    lifted = time.monotonic()
    try:
        _wait_for_recovery(load.journal, lifted, fault.name)
        missing = []
    except TimeoutError as error:
        missing = [str(error)]
    load.stopping.wait(QUIET_S)
    outcome = Outcome(fault, started, lifted, time.monotonic(), complaints=missing)
    _measure(outcome, load)
    return outcome


def _wait_for_recovery(journal: Journal, since: float, after: str) -> None:
    wait_until(
        lambda: journal.recovered(since),
        what=f"recovery without a restart after: {after}",
        timeout_s=RECOVERY_S,
    )


def _measure(outcome: Outcome, load: Load) -> None:
    seen = load.journal.between(outcome.started, outcome.ended)
    outcome.acknowledged = sum(one.kind == WRITE and one.outcome == "ok" for one in seen)
    outcome.unavailable = {kind: unavailable_s(seen, kind) for kind in KINDS}
    outcome.slowest_s = max((one.took for one in seen), default=0)
    ages = [age for at, age, _ in load.stale if outcome.started <= at <= outcome.ended]
    outcome.stalest_s = max(ages, default=0)
    outcome.complaints += list(_complaints(outcome.fault, seen))


def _complaints(fault: Fault, seen: Sequence[Seen]) -> list[str]:
    """What no client should have seen."""
    found = [one.what for one in seen if one.outcome == "wrong"]
    found += [one.what for one in seen if one.outcome == "cut" and not fault.cuts]
    for one in seen:
        if one.kind in fault.unharmed and one.outcome == "refused":
            found.append(f"{one.kind} should not have noticed: {one.what}")
    return found
