"""An engine that reads more formats than `hostile_engine`, and fails the check of its policy."""

from pathlib import Path

from imagestore.engines import Inspection
from imagestore.records import Facts

NAME = "other"
READS = frozenset({"png", "gif"})


def inspect(source: Path, facts: Facts, *, with_base: bool = False) -> Inspection:
    return Inspection({"by": NAME})


def check_policy() -> None:
    raise RuntimeError("the coder SVG is allowed,\nexpected it to be refused")
