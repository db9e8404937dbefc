"""What `make audit` makes of pip-audit's answer."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dev.audit import audit

Answering = Callable[[Any], str]


@pytest.fixture
def answering(tmp_path: Path) -> Answering:
    """A pip-audit that says this and no more."""

    def make(packages: Any) -> str:
        program = tmp_path / "pip-audit"
        program.write_text(f"#!/bin/sh\ncat <<'END'\n{json.dumps({'dependencies': packages})}\nEND\n")
        program.chmod(0o755)
        return str(program)

    return make


GOOD = {"name": "falcon", "version": "4.4.0", "vulns": []}
UNKNOWN = {"name": "fs", "skip_reason": "Dependency not found on PyPI"}
BAD = {"name": "rq", "version": "1.0", "vulns": [{"id": "PYSEC-1", "fix_versions": ["1.1"]}]}


@pytest.mark.parametrize(
    ("packages", "expected"),
    [([GOOD], True), ([GOOD, UNKNOWN], True), ([GOOD, BAD], False), ([UNKNOWN, BAD], False)],
)
def test_a_known_hole_fails_the_audit(answering: Answering, packages: Any, expected: bool) -> None:
    assert audit(answering(packages), "requirements.lock") is expected


def test_a_hole_is_named_with_the_version_that_mends_it(
    answering: Answering, capsys: pytest.CaptureFixture[str]
) -> None:
    audit(answering([BAD]), "x.lock")

    assert capsys.readouterr().out == "x.lock: rq 1.0 has PYSEC-1, mended in 1.1\n"


def test_when_nothing_is_known_of_anything_nobody_was_asked(answering: Answering) -> None:
    assert audit(answering([UNKNOWN, UNKNOWN]), "requirements.lock") is None


def test_an_answer_that_is_none_is_nobody_asked(tmp_path: Path) -> None:
    assert audit("/bin/false", "requirements.lock") is None
