"""`imagestore import`: folders and lists, breaks, second runs, and what goes wrong."""

import contextlib
import csv
import json
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from imagestore.commands import main
from imagestore.commands.journal import FAILED, STORED, Journal, JournalInUse, Outcome
from imagestore.errors import InvalidRequest
from tests.commands.conftest import Served
from tests.origin import answer
from tests.pictures import encode, plain
from tests.servers import ROOT, wait_until

PURPOSE = {"server": "http://x"}


def picture(number: int) -> bytes:
    return encode(plain((number % 256, number // 256, 7), 16, 12), "png").data


def folder_of(path: Path, names: Mapping[str, bytes]) -> Path:
    for name, body in names.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(body)
    return path


def ran(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, dict[str, Any], str]:
    """Exit status, the JSON that it printed, and its stderr."""
    status = main([*map(str, arguments), "--json"])
    printed = capsys.readouterr()
    return status, json.loads(printed.out) if printed.out else {}, printed.err


def test_a_folder_s_paths_become_dkeys(
    around: Served, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos = folder_of(tmp_path / "photos", {"a.png": picture(1), "b/ü &.png": picture(2), ".hidden": b"x"})

    status, counts, _ = ran(capsys, "import", photos, "--domain", "folder", "--prefix", "2026/")

    assert (status, counts["stored"], counts["failed"]) == (0, 2, 0)
    assert [image.dkey for image in around.client.images("folder")] == ["2026/a.png", "2026/b/ü &.png"]
    assert around.client.read("folder/2026/b/ü &.png") == picture(2)


def test_what_systems_leave_in_folders_is_left_out_and_counted(
    around: Served, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    left = ["Thumbs.db", "b/THUMBS.DB", "desktop.ini", ".DS_Store", "b/._a.png", ".git/a.png", ".git/b.png"]
    names = {"a.png": picture(21), "b/c.png": picture(22), **dict.fromkeys(left, b"no picture")}
    photos = folder_of(tmp_path / "photos", names)

    status, counts, _ = ran(capsys, "import", photos, "--domain", "left-out")

    # A hidden folder is one.
    assert (status, counts["stored"], counts["failed"], counts["left_out"]) == (0, 2, 0, 6)
    assert [image.dkey for image in around.client.images("left-out")] == ["a.png", "b/c.png"]


def test_a_second_run_sends_what_is_new_alone(
    around: Served, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos = folder_of(tmp_path / "photos", {"a.png": picture(3), "broken.png": picture(4)[:40]})
    first = ran(capsys, "import", photos, "--domain", "second")
    folder_of(photos, {"broken.png": picture(4), "new.png": picture(5)})

    second = ran(capsys, "import", photos, "--domain", "second")
    third = ran(capsys, "import", photos, "--domain", "second")
    (tmp_path / "photos.second.import-journal").unlink()
    without_journal = ran(capsys, "import", photos, "--domain", "second")

    assert (first[0], first[1]["stored"], first[1]["failed"]) == (1, 1, 1)
    assert (second[0], second[1]["stored"], second[1]["skipped"]) == (0, 2, 1)
    assert (third[0], third[1]["stored"], third[1]["skipped"]) == (0, 0, 3)
    assert (without_journal[1]["stored"], without_journal[1]["known"]) == (0, 3)


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_failures_are_told_and_reported_with_their_reasons(
    around: Served, tmp_path: Path, capsys: pytest.CaptureFixture[str], form: str
) -> None:
    names = {"text.png": b"no picture", "cut.png": picture(6)[:60], "good.png": picture(6), "x\\y.png": b"x"}
    photos = folder_of(tmp_path / "photos", names)
    report = tmp_path / f"report.{form}"

    status, counts, told = ran(capsys, "import", photos, "--domain", f"bad-{form}", "--report", report)
    for name in names.keys() - {"good.png"}:
        (photos / name).unlink()
    mended = ran(capsys, "import", photos, "--domain", f"bad-{form}")

    with report.open(newline="") as file:
        rows = list(csv.DictReader(file)) if form == "csv" else [json.loads(line) for line in file]
    assert (status, counts["stored"], counts["failed"]) == (1, 1, 3)
    assert {row["source"]: row["problem"] for row in rows} == {
        "text.png": "unsupported-media-type",
        "cut.png": "image-invalid",
        "x\\y.png": "invalid-key",
    }
    assert "text.png: unsupported-media-type: " in told
    assert (mended[0], mended[1]["failed"]) == (0, 0)


def test_report_is_named_when_not_every_failure_is_shown(
    around: Served, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos = folder_of(tmp_path / "photos", {f"{number}.png": b"no picture" for number in range(7)})
    report = tmp_path / "report.csv"

    with_report = ran(capsys, "import", photos, "--domain", "many-bad", "--report", report)
    without = ran(capsys, "import", photos, "--domain", "many-bad")

    assert f"... and 2 more; {report} has all of them" in with_report[2].replace("\n", "")
    assert "... and 2 more; --report writes all of them" in without[2].replace("\n", " ")


def test_a_list_has_files_and_urls(
    around: Served, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    around.origin.paths["/listed.png"] = answer(body=picture(8))
    folder_of(tmp_path, {"files/a.png": picture(7)})
    listed = tmp_path / "list.csv"
    rows = [
        ("files/a.png", "", "list", "one.png", '{"title": "Eins, ü"}'),
        ("", around.origin.url("/listed.png"), "list", "two.png", '{"n": 2}'),
        ("", around.origin.url("/gone.png"), "list", "", ""),
        ("files/none.png", "", "", "three.png", ""),
        ("files/a.png", "http://both.example/", "", "", ""),
        ("files/a.png", "", "", "", "{"),
        ("", "ftp://x/", "", "", ""),
    ]
    with listed.open("w", encoding="utf-8-sig", newline="") as file:
        csv.writer(file).writerows([("file", "url", "domain", "dkey", "metadata"), *rows])

    status, counts, _ = ran(capsys, "import", listed, "--report", tmp_path / "bad.csv")
    around.origin.paths["/gone.png"] = answer(body=picture(9))
    _, again, _ = ran(capsys, "import", listed)

    with (tmp_path / "bad.csv").open(newline="") as file:
        problems = {row["problem"] for row in csv.DictReader(file)}
    assert (status, counts["stored"], counts["failed"]) == (1, 2, 5)
    assert problems == {"http-404", "unreadable", "invalid-request", "invalid-url"}
    assert around.client.info("list/one.png").user_metadata == {"title": "Eins, ü"}
    assert around.client.info("list/two.png").user_metadata == {"n": 2}
    assert (again["stored"], again["skipped"], again["failed"]) == (1, 2, 4)


def test_other_bytes_under_a_name_need_overwrite(
    around: Served, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    around.client.upload(picture(10), domain="over", dkey="a.png")
    photos = folder_of(tmp_path / "photos", {"a.png": picture(11)})

    refused = ran(capsys, "import", photos, "--domain", "over")
    taken = ran(capsys, "import", photos, "--domain", "over", "--overwrite")

    assert (refused[0], "key-conflict" in refused[2]) == (1, True)
    assert taken[0] == 0
    assert around.client.read("over/a.png") == picture(11)


def test_an_interrupted_import_goes_on(
    around: Served, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos = folder_of(tmp_path / "photos", {f"{n % 7}/{n}.png": picture(n) for n in range(150)})
    command = [sys.executable, "-m", "imagestore.commands", "import", str(photos), "--domain", "broken-off"]

    running = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_until(lambda: next(around.client.images("broken-off"), None) is not None, what="a first picture")
    running.send_signal(signal.SIGINT)
    _, told = running.communicate(timeout=30)
    stored = {image.dkey for image in around.client.images("broken-off")}
    status, counts, _ = ran(capsys, "import", photos, "--domain", "broken-off")

    assert running.returncode == 130
    assert "the same command goes on" in told
    assert "Traceback" not in told
    assert 0 < len(stored) < 150
    # What was under way at Ctrl-C was finished and noted.
    assert (status, counts["stored"], counts["skipped"]) == (0, 150 - len(stored), len(stored))


def test_a_wrong_key_ends_it_at_once(
    around: Served, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos = folder_of(tmp_path / "photos", {f"{n}.png": picture(n) for n in range(30)})

    status = main(["import", str(photos), "--key", "w" * 16])

    assert status == 1
    assert capsys.readouterr().err.splitlines()[-1].startswith("imagestore: unauthenticated: ")
    assert main(["import", str(photos), "--json"]) == 0


@pytest.mark.parametrize("text", ["", "name\nx\n", "file,url,nam\n", "file\n\xff\n"])
def test_a_list_that_is_none_is_refused(
    around: Served, tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    listed = tmp_path / "list.csv"
    listed.write_bytes(text.encode("latin-1"))

    assert main(["import", str(listed)]) == 2

    assert "the list" in capsys.readouterr().err


def test_a_journal_is_one_import_s(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    journal = Journal(path, PURPOSE)
    with pytest.raises(JournalInUse):
        Journal(path, PURPOSE)
    journal.put(Outcome("k", "s", STORED))
    journal.put(Outcome("k", "s", FAILED, problem="p"))
    journal.close()
    (tmp_path / "other").write_bytes(b"no database " * 100)

    with pytest.raises(InvalidRequest, match="another import"):
        Journal(path, {"server": "http://y"})
    with pytest.raises(InvalidRequest, match="no journal"):
        Journal(tmp_path / "other", PURPOSE)
    journal = Journal(path, PURPOSE)

    assert list(journal.in_state(STORED, FAILED)) == [Outcome("k", "s", FAILED, problem="p")]
    assert journal.counts() == {FAILED: 1}
    journal.close()


def test_a_journal_keeps_what_it_has_when_ctrl_c_comes_as_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Interrupted(sqlite3.Connection):
        commits = 0

        def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
            cursor = super().execute(sql, parameters)
            Interrupted.commits += sql == "COMMIT"
            if (sql, Interrupted.commits) == ("COMMIT", 1):
                raise KeyboardInterrupt
            return cursor

    path = tmp_path / "journal"
    with monkeypatch.context() as patched:
        patched.setattr(sqlite3, "connect", partial(sqlite3.connect, factory=Interrupted))
        journal = Journal(path, PURPOSE)
    journal.put(Outcome("a", "a.png", STORED))

    with pytest.raises(KeyboardInterrupt):
        journal.flush()
    journal.put(Outcome("b", "b.png", STORED))
    journal.flush()
    journal.close()

    with contextlib.closing(Journal(path, PURPOSE)) as again:
        assert again.counts() == {STORED: 2}
