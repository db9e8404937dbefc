"""`imagestore keys`, on a database that the servers share."""

import json
from pathlib import Path

import pytest

from imagestore.commands import main
from imagestore.service import prepare_database
from imagestore.settings import Settings


def run(capsys: pytest.CaptureFixture[str], folder: Path, *words: str) -> str:
    assert main(["keys", *words, "--data-dir", str(folder)]) == 0
    return capsys.readouterr().out


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATABASE_URL", "API_KEY", "API_KEYS"):
        monkeypatch.delenv(name, raising=False)


def test_a_key_is_made_listed_and_revoked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = json.loads(
        run(capsys, tmp_path, "add", "shop", "--domains", "cats,dogs", "--expires", "90d", "--json")
    )
    listed = run(capsys, tmp_path, "list")
    ended = json.loads(run(capsys, tmp_path, "revoke", str(made["id"]), "--json"))

    assert (made["rights"], made["domains"]) == ("write", ["cats", "dogs"])
    assert made["key"].startswith("isk_")
    assert "shop" in listed
    assert made["key"] not in listed
    assert made["revoke_time"] is None
    assert ended["revoke_time"] is not None


def test_a_store_without_keys_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, tmp_path, "revoke", str(json.loads(run(capsys, tmp_path, "add", "x", "--json"))["id"]))
    assert "x" in run(capsys, tmp_path, "list")
    (empty := tmp_path / "empty").mkdir()
    prepare_database(Settings.from_env({"DATA_DIR": str(empty)}))

    assert main(["keys", "list", "--data-dir", str(empty)]) == 0
    printed = capsys.readouterr()
    as_json = run(capsys, empty, "list", "--json")

    assert printed.out == ""
    assert "imagestore keys add" in printed.err
    assert as_json == ""


def test_a_person_gets_the_key_alone_on_stdout(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, tmp_path, "add", "me", "--rights", "admin").startswith("isk_")


@pytest.mark.parametrize(
    "words",
    [
        ["add", "x", "--rights", "all"],
        ["add", ""],
        ["add", "x", "--domains", ""],
        ["add", "x", "--domains", "tasks"],
        ["add", "x", "--expires", "soon"],
        ["revoke", "0"],
    ],
)
def test_wrong_wishes_are_2(tmp_path: Path, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["keys", *words, "--data-dir", str(tmp_path)]) == 2


def test_a_key_that_is_not_there_cannot_be_revoked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(capsys, tmp_path, "add", "x")

    assert main(["keys", "revoke", "7", "--data-dir", str(tmp_path)]) == 1
    assert "no API key has id 7" in capsys.readouterr().err
