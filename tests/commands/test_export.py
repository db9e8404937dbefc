"""`imagestore export`: the same bytes, under names that stay in their folder."""

import json
from pathlib import Path

import pytest

from imagestore.commands import main
from imagestore.commands.filenames import fallback_of, path_of
from tests.commands.conftest import Served
from tests.commands.test_import import picture, ran

NAMES = [
    "a",
    "a/b.png",
    "ü/C.png",
    "..a/ b. ",
    "%2e.png",
    "x:*?.png",
    "d//e.png",
    "p" * 255,
    "-rf",
    ".hidden",
]


def test_an_export_has_every_byte_and_can_be_imported(
    around: Served, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bodies = {name: picture(number) for number, name in enumerate(NAMES)}
    for name, body in bodies.items():
        around.client.upload(body, domain="export", dkey=name, metadata={"name": name})
    folder = tmp_path / "out"

    status, counts, _ = ran(capsys, "export", "export", folder)

    records = [json.loads(line) for line in (folder / "records.jsonl").read_text().splitlines()]
    assert (status, counts) == (0, {"fetched": len(NAMES), "present": 0, "failed": 0})
    assert {record["dkey"]: (folder / record["file"]).read_bytes() for record in records} == bodies
    assert {path.parts[len(tmp_path.parts)] for path in tmp_path.rglob("*")} == {"out"}

    for name in NAMES:
        around.client.delete(f"export/{name}")
    assert ran(capsys, "import", folder / "records.jsonl")[1]["stored"] == len(NAMES)
    assert around.client.info("export/a/b.png").user_metadata == {"name": "a/b.png"}
    assert around.client.read("export/d//e.png") == bodies["d//e.png"]


def test_a_second_export_fetches_what_changed_or_is_damaged(
    around: Served, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(4):
        around.client.upload(picture(number), domain="reexport", dkey=f"{number}.png")
    ran(capsys, "export", "reexport", tmp_path)
    around.client.upload(picture(50), domain="reexport", dkey="0.png", overwrite=True)
    (tmp_path / "files/1.png").write_bytes(picture(1)[:-1] + b"x")
    (tmp_path / "files/2.png").unlink()

    _, counts, _ = ran(capsys, "export", "reexport", tmp_path)

    assert counts == {"fetched": 3, "present": 1, "failed": 0}
    assert (tmp_path / "files/0.png").read_bytes() == picture(50)
    assert (tmp_path / "files/1.png").read_bytes() == picture(1)


def test_an_export_of_nothing_says_so(
    around: Served, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, counts, told = ran(capsys, "export", "nosuch", tmp_path)

    assert (status, counts["fetched"]) == (0, 0)
    assert "the domain 'nosuch' has no pictures" in told


def test_a_symbolic_link_leads_nobody_out(
    around: Served, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    around.client.upload(picture(1), domain="linked", dkey="sub/a.png")
    (outside := tmp_path / "outside").mkdir()
    (tmp_path / "out/files").mkdir(parents=True)
    (tmp_path / "out/files/sub").symlink_to(outside)

    status, _, _ = ran(capsys, "export", "linked", tmp_path / "out")

    assert status == 0
    assert list(outside.iterdir()) == []
    assert (tmp_path / "out/files" / fallback_of("sub/a.png", format="png")).read_bytes() == picture(1)


def test_a_lost_original_is_a_failure_with_its_name(
    around: Served, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("imagestore.commands.exports.FETCH_PATIENCE_S", 0.1)
    image = around.client.upload(picture(77), domain="lost", dkey="a.png").image
    around.client.upload(picture(78), domain="lost", dkey="b.png")
    original = Path(around.env["DATA_DIR"], "originals", image.sha256[:2], image.sha256[2:4], image.sha256)
    original.unlink()

    status = main(["export", "lost", str(tmp_path), "--json"])

    assert status == 1
    assert "lost/a.png" in capsys.readouterr().err
    assert (tmp_path / "files/b.png").exists()


@pytest.mark.parametrize(
    "dkey", ["../x", "/etc/passwd", "a/../../b", "C:\\x", "nul\x00", "//", "...", "é" * 255]
)
def test_no_name_leads_out_of_its_folder(dkey: str) -> None:
    path = path_of(dkey, format="png")

    assert not path.is_absolute()
    assert not {"..", ".", ""} & set(path.parts)
    assert all(len(part.encode()) < 255 and part.isprintable() and "\\" not in part for part in path.parts)


def test_different_dkeys_have_different_paths() -> None:
    names = [*NAMES, "%", "%/x", "%25", "a%", "a.", "a%2e", ".", "%2e", "//", "/", "a/", "/a", "A"]

    assert len({path_of(name, format="png") for name in names}) == len(set(names))
