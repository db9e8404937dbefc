"""An engine that reads more formats than `hostile_engine`, and fails the check of its policy."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from imagestore.records import Facts

NAME = "other"
READS = frozenset({"png", "gif"})


def inspect(source: Path, facts: Facts) -> Mapping[str, Any]:
    return {"by": NAME}


def check_policy() -> None:
    raise RuntimeError("the coder SVG is allowed,\nexpected it to be refused")
