"""`info`, `url`, `tasks`, `stats` and `doctor`: what they print, and what their exit status says."""

import json
import shutil
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from imagestore.catalog import Catalog
from imagestore.client import Download
from imagestore.commands import main
from imagestore.signing import SigningKey, verify
from tests.commands.conftest import Served
from tests.commands.test_import import picture, ran
from tests.origin import answer
from tests.pictures import opened
from tests.servers import free_port, redis_server, wait_until


def rows(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, list[dict[str, Any]]]:
    """Exit status, and the JSON lines that it printed."""
    status = main([*arguments, "--json"])
    return status, [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_info_finds_a_picture_by_any_name(around: Served, capsys: pytest.CaptureFixture[str]) -> None:
    image = around.client.upload(picture(700), domain="looking", dkey="a b.png").image

    found = [ran(capsys, "info", name)[1] for name in (str(image.id), image.sha256, "looking/a b.png")]
    main(["info", str(image.id)])

    assert found == [dict(image.described)] * 3
    assert "dkey            a b.png\n" in capsys.readouterr().out


def test_a_name_cannot_command_the_terminal(around: Served, capsys: pytest.CaptureFixture[str]) -> None:
    around.client.upload(picture(701), domain="looking", dkey="\u202egpj.exe\u2028")

    main(["info", "looking/\u202egpj.exe\u2028"])

    assert "\\u202egpj.exe\\u2028" in capsys.readouterr().out


def test_url_prints_an_address_that_is_answered(around: Served, capsys: pytest.CaptureFixture[str]) -> None:
    image = around.client.upload(picture(702), domain="looking", dkey="url.png").image

    _, found, _ = ran(capsys, "url", "looking/url.png", "--width", "8", "--height", "8", "--fit", "cover")
    _, path, _ = ran(capsys, "url", str(image.id), "--path", "--grayscale", "--download", "x.png")

    assert found["url"] == f"{around.client.server}/image/read?id={image.id}&width=8&height=8&fit=cover"
    assert opened(around.stack.http.get(found["url"]).content).size == (8, 8)
    assert path["url"] == f"/image/read?id={image.id}&grayscale=1&download=x.png"


def test_url_signs_as_the_server_verifies(
    around: Served, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    key = SigningKey("k1", "s" * 40)
    assert main(["url", "7", "--sign"]) == 2
    monkeypatch.setenv("SIGNING_KEYS", f"{key.id}={key.secret}")

    _, forever, _ = ran(capsys, "url", "7", "--width", "8", "--sign")
    _, today, _ = ran(capsys, "url", "7", "--path", "--expires", "1d")

    split = [urlsplit(found["url"]) for found in (forever, today)]
    ends = [verify(parts.path.encode(), parts.query, (key,)) for parts in split]
    assert ends[0] is None
    assert ends[1] is not None
    assert 86_000 < ends[1] - time.time() <= 86_400


def test_long_work_does_not_wait_for_a_server_that_never_was(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("imagestore.commands.options.PATIENCE_S", 0)

    status = main(["export", "demo", str(tmp_path / "out"), "--server", f"http://127.0.0.1:{free_port()}"])

    assert status == 1
    assert "does not answer" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_tasks_are_listed_counted_awaited_and_retried(
    around: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    around.origin.paths["/task.png"] = answer(body=picture(703))
    wishes = [Download(around.origin.url(path), domain="tasks-x") for path in ("/task.png", "/no-task.png")]
    good, bad = (str(around.client.tasks.submit(wish).id) for wish in wishes)

    awaited = rows(capsys, "tasks", "wait", good, bad, "--timeout", "30")
    listed = rows(capsys, "tasks", "list", "--domain", "tasks-x", "--flag", "failed", "--reason", "http-404")
    counted = rows(capsys, "tasks", "summary", "--domain", "tasks-x")
    retried = rows(capsys, "tasks", "retry", "--failed", "--domain", "tasks-x")
    rested = rows(capsys, "tasks", "wait", "--domain", "tasks-x", "--timeout", "30")

    assert (awaited[0], [task["flag"] for task in awaited[1]]) == (1, ["succeed", "failed"])
    assert [str(task["id"]) for task in listed[1]] == [bad]
    assert counted[1][0]["problems"]["failed"] == {"http-404": 1}
    assert retried == (0, [{"retried": 1}])
    assert rested[1][0]["created"] == 0
    assert main(["tasks", "retry", good]) == 1
    assert main(["tasks", "retry"]) == 2
    assert main(["tasks", "summary"]) == 0


def test_stats_count_what_there_is(around: Served, capsys: pytest.CaptureFixture[str]) -> None:
    before = ran(capsys, "stats")[1]
    around.client.upload(picture(704), domain="stats")

    after = ran(capsys, "stats")[1]

    assert after["images"] - before["images"] == 1
    assert after["bytes"] - before["bytes"] == len(picture(704))
    assert after["queues"]["downloads"] == 0
    assert after["cache"]["keys"] > 0
    assert 0 < after["store"]["free_bytes"] < after["store"]["size_bytes"]


def test_stats_need_no_redis(
    around: Served, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_URL", f"redis://127.0.0.1:{free_port()}/0")

    status, found, _ = ran(capsys, "stats")

    assert (status, found["queues"], found["cache"]) == (0, None, None)


def test_doctor_finds_a_healthy_stack_healthy(
    around: Served, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # How full the disk of the machine is does not matter here.
    usage = shutil.disk_usage(tmp_path)._replace(total=100, free=50)
    monkeypatch.setattr("imagestore.diagnosis.shutil.disk_usage", lambda _: usage)
    around.client.upload(picture(705), domain="looking")
    wait_until(lambda: ran(capsys, "stats")[1]["queues"]["workers"] > 0, what="a worker shows itself")

    status, checks = rows(capsys, "doctor")

    faults = [check for check in checks if check["state"] == "fault"]
    # The Redis of the tests has no bound of memory, which is worth a warning and no more.
    assert (status, faults) == (0, [])
    assert {"redis memory"} == {check["check"] for check in checks if check["state"] == "warning"}
    assert {"settings", "database", "storage", "engines", "redis", "clock", "workers", "data disk"} < {
        check["check"] for check in checks if check["state"] == "ok"
    }
    assert "nginx answers by itself" in {check["found"].partition(",")[0] for check in checks}


def test_doctor_names_every_fault_and_what_to_do(
    around: Served, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "no-folder").touch()
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("DATABASE_URL", f"mysql://nobody@127.0.0.1:{free_port()}/none")
    monkeypatch.setenv("STORAGE_URL", str(tmp_path / "no-folder"))
    monkeypatch.setenv("QUEUE_URL", f"redis://127.0.0.1:{free_port()}/0")
    monkeypatch.setenv("IMAGESTORE_SERVER", f"http://127.0.0.1:{free_port()}")
    options = ("--maxmemory", "64mb", "--maxmemory-policy", "allkeys-lru", "--appendonly", "no")
    with redis_server(tmp_path / "redis", *options) as redis:
        monkeypatch.setenv("REDIS_URL", f"redis://127.0.0.1:{redis.port}/0")

        status, checks = rows(capsys, "doctor")

    faults = {check["check"]: check for check in checks if check["state"] == "fault"}
    assert status == 1
    assert {"database", "storage", "redis policy", "queue", "server"} <= faults.keys()
    assert "volatile-lfu" in faults["redis policy"]["advice"]
    assert all(check["advice"] for check in faults.values())
    assert "redis log" in {check["check"] for check in checks if check["state"] == "warning"}


def test_doctor_tells_wrong_settings(
    around: Served, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAX_PIXELS", "many")
    monkeypatch.setenv("IMAGE_ENGINE", "gd")

    status, checks = rows(capsys, "doctor", "--offline")

    assert (status, [check["state"] for check in checks]) == (1, ["fault", "fault"])
    assert main(["stats"]) == 2


def test_tables_of_an_older_version_are_noticed(tmp_path: Path) -> None:
    database = f"sqlite:///{tmp_path}/old.db"
    catalog = Catalog(database)
    assert catalog.waiting_migrations() is None
    catalog.prepare()
    assert catalog.waiting_migrations() == []
    catalog.close()
    (newer := tmp_path / "migrations").mkdir()
    (newer / "0001_x.py").write_text("def up(migrator, database): ...\n")

    later = Catalog(database, migrations=newer)

    assert later.waiting_migrations() == ["0001_x"]
    later.close()


def test_an_unexpected_error_is_one_line(
    around: Served, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise KeyError("surprise")

    monkeypatch.setattr("imagestore.client.connection.Client.info", broken)

    assert main(["info", "1"]) == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert main(["--debug", "info", "1"]) == 1
    assert "Traceback" in capsys.readouterr().err
