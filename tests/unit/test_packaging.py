"""An installation has every package of ours, and every file that they read."""

import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOP = ("api", "worker", "imagestore")


@pytest.fixture(scope="module")
def told() -> dict[str, object]:
    """What pyproject.toml says to setuptools."""
    return dict(tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"])


def test_every_package_is_named(told: dict[str, list[str]]) -> None:
    found = {
        ".".join(init.parent.relative_to(ROOT).parts)
        for top in TOP
        for init in (ROOT / top).rglob("__init__.py")
    }

    assert set(told["packages"]) == found


def test_every_file_that_is_no_module_is_named(told: dict[str, dict[str, list[str]]]) -> None:
    named = {
        file
        for package, patterns in told["package-data"].items()
        for pattern in patterns
        for file in (ROOT / package.replace(".", "/")).glob(pattern)
        if file.is_file()
    }
    found = {
        file
        for top in TOP
        for file in (ROOT / top).rglob("*")
        if file.is_file() and file.suffix != ".py" and "__pycache__" not in file.parts
    }

    assert found == named
