"""`imagestore quota` and `imagestore audit`, on a database that the servers share."""

import json
from contextlib import closing
from pathlib import Path

import pytest

from imagestore.catalog import Catalog
from imagestore.commands import main
from imagestore.records import Content, Facts


def run(capsys: pytest.CaptureFixture[str], folder: Path, *words: str) -> list[dict[str, object]]:
    assert main([*words, "--json", "--data-dir", str(folder)]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data directory with one image."""
    for name in ("DATABASE_URL", "QUOTA_IMAGES", "QUOTA_BYTES"):
        monkeypatch.delenv(name, raising=False)
    with closing(Catalog(f"sqlite:///{tmp_path}/imagestore.db")) as catalog:
        catalog.prepare()
        catalog.insert("cats", "tom", Content("0" * 64, "0" * 32, 10), Facts("png", 3, 2), {}, {})
    return tmp_path


def test_a_quota_is_set_and_listed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (given,) = run(capsys, folder, "quota", "set", "cats", "--bytes", "2k")
    listed = run(capsys, folder, "quota", "list")
    wrong = run(capsys, folder, "quota", "recount")

    assert given == {"domain": "cats", "images": 1, "bytes": 10, "max_images": None, "max_bytes": 2048}
    assert listed == [given]
    assert wrong == []


def test_changes_are_listed_the_newest_first(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, folder, "quota", "set", "cats", "--images", "7")

    entries = run(capsys, folder, "audit", "--domain", "cats")

    assert [entry["action"] for entry in entries] == ["quota", "create"]
    assert [entry["key_id"] for entry in entries] == ["command", None]
    assert entries[0]["detail"] == "max_images=7 max_bytes=None"


@pytest.mark.parametrize(
    "words",
    [
        ["quota", "set", "tasks"],
        ["quota", "set", "cats", "--bytes", "2x"],
        ["quota", "set", "cats", "--images", "-1"],
        ["audit", "--domain", "No"],
    ],
)
def test_wrong_wishes_are_2(folder: Path, words: list[str]) -> None:
    assert main([*words, "--data-dir", str(folder)]) == 2
