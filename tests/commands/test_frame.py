"""The frame of the command: its list, its exit statuses, its errors, where it finds its server."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from imagestore.commands import COMMANDS, imagestore, main
from imagestore.commands.surroundings import NOTE, note, surroundings
from tests.servers import ROOT, free_port


def test_every_command_of_the_list_is_there_with_help_and_json(capsys: pytest.CaptureFixture[str]) -> None:
    for name in COMMANDS:
        assert main([name, "--help"]) == 0

        assert "--help" in capsys.readouterr().out

    assert main(["--help"]) == 0
    listed = capsys.readouterr().out
    assert all(f"  {name} " in listed for name in COMMANDS)


def leaves(name: str, command: object) -> list[tuple[str, object]]:
    inner = getattr(command, "commands", None)
    if inner is None:
        return [(name, command)]
    return [leaf for key, value in inner.items() for leaf in leaves(f"{name} {key}", value)]


def test_every_command_prints_json_on_demand() -> None:
    for name in COMMANDS:
        for full_name, leaf in leaves(name, imagestore.get_command(None, name)):  # type: ignore[arg-type]  # needs none
            options = {option for parameter in leaf.params for option in parameter.opts}  # type: ignore[attr-defined]

            assert "--json" in options, f"{full_name} has no --json"


def test_the_list_of_commands_imports_none_of_them() -> None:
    code = (
        "import sys; from imagestore.commands import main; main(['--help']);"
        "print([m for m in sys.modules if m.split('.')[0] in ('urllib3', 'rich', 'redis', 'peewee', 'fs')])"
    )

    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)

    assert done.stdout.splitlines()[-1] == "[]"


def test_wrong_usage_is_2_and_says_where_help_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info"]) == 2

    assert "imagestore info --help" in capsys.readouterr().err


def test_an_unknown_command_is_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inform"]) == 2

    assert "inform" in capsys.readouterr().err


def test_no_server_is_1_and_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    status = main(["info", "1", "--server", f"http://127.0.0.1:{free_port()}"])

    assert status == 1
    assert re.fullmatch(r"imagestore: the server does not answer.*\n", capsys.readouterr().err)


@pytest.mark.parametrize("name", ["cat", "0", "De/a.jpg", "demo/../a", "image/x"])
def test_what_names_no_picture_is_refused_before_anybody_is_asked(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["info", name, "--server", "http://127.0.0.1:1"]) == 2

    assert capsys.readouterr().err.count("\n") == 1


def test_a_wrong_address_is_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", "1", "--server", "ftp://x"]) == 2

    assert "ftp://x" in capsys.readouterr().err


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0

    assert "_IMAGESTORE_COMPLETE" in capsys.readouterr().out


def test_commands_find_what_make_run_noted(tmp_path: Path) -> None:
    note(tmp_path, {"REDIS_URL": "unix:///s/redis.sock?db=0", "HOME": "/x"}, server="http://127.0.0.1:8099")
    (tmp_path / "api-key").write_text("k" * 32)

    found = surroundings({"DATA_DIR": str(tmp_path)})

    assert found == {
        "DATA_DIR": str(tmp_path),
        "REDIS_URL": "unix:///s/redis.sock?db=0",
        "IMAGESTORE_SERVER": "http://127.0.0.1:8099",
        "API_KEY_FILE": str(tmp_path / "api-key"),
    }
    assert (tmp_path / NOTE).stat().st_mode & 0o777 == 0o600


def test_variables_go_before_the_note_in_either_form(tmp_path: Path) -> None:
    note(tmp_path, {"REDIS_URL": "redis://noted/0", "DATABASE_URL": "sqlite:////noted.db"}, server="http://x")

    found = surroundings(
        {"DATA_DIR": str(tmp_path), "REDIS_URL_FILE": "/given", "DATABASE_URL": "sqlite:////given.db"}
    )

    assert "REDIS_URL" not in found
    assert found["DATABASE_URL"] == "sqlite:////given.db"


def test_relative_places_are_noted_as_the_servers_see_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    note(tmp_path, {"STORAGE_URL": "pictures", "DATABASE_URL": "sqlite:///my.db"}, server="http://x")

    noted = json.loads((tmp_path / NOTE).read_text())
    assert noted["STORAGE_URL"] == f"{tmp_path}/pictures"
    assert noted["DATABASE_URL"] == f"sqlite:///{tmp_path}/my.db"
