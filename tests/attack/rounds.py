"""How long attacks last: a little in `make test`, FUZZ times as long in `make fuzz`."""

import os

from hypothesis import HealthCheck, settings

FUZZ = int(os.environ.get("FUZZ", "1"))
"""1 asks the same each time, so that a test run is repeatable; more draws anew."""


def bounded(examples: int) -> settings:
    """Hypothesis with so many examples, without a clock: the machine may be slow."""
    return settings(
        max_examples=examples * FUZZ,
        derandomize=FUZZ == 1,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
