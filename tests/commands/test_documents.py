"""What the documents say about client and command is run as it stands there."""

import re
import shlex
from pathlib import Path

import click
import pytest

from imagestore.client import Client
from imagestore.commands import COMMANDS, imagestore, main
from imagestore.commands.options import find_settings
from imagestore.diagnosis import open_overview
from tests.commands.conftest import Served
from tests.origin import answer
from tests.pictures import photo
from tests.servers import ROOT, wait_until


def test_the_code_of_the_client_s_document_runs(served: Served) -> None:
    examples = re.findall(
        r"^```python\n(.*?)^```", (ROOT / "docs/client.md").read_text(), re.DOTALL | re.MULTILINE
    )
    served.origin.paths["/document.jpg"] = answer(body=photo(40, 30))
    image = served.client.upload(photo(800, 600), domain="document").image
    names = {"key": served.env["API_KEY"], "urls": [served.origin.url("/document.jpg")]}

    for example in examples:
        code = example.replace("http://127.0.0.1:8080", served.stack.address).replace(
            "docs/", f"{ROOT}/docs/"
        )
        exec(compile(code, "docs/client.md", "exec"), names)

    rendered = names["template"].render(image=image)  # type: ignore[attr-defined]  # the document made it
    assert rendered.count("w,") == 4
    assert f"id={image.id}&amp;width=800&amp;height=533&amp;fit=cover&amp;format=auto 800w" in rendered
    assert isinstance(names["client"], Client)


def examples_of_commands() -> list[list[str]]:
    text = (ROOT / "docs/commands.md").read_text()
    return [
        shlex.split(line, comments=True)[1:]
        for line in re.findall(r"^    (imagestore .*)$", text, re.MULTILINE)
    ]


def test_every_example_of_a_command_is_one_that_it_understands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder_for_examples(tmp_path, monkeypatch)

    for example in examples_of_commands():
        if "|" in example:
            example = example[: example.index("|")]
        # A folder that the test may not make is one of the working directory here.
        example = [word.removeprefix("/") for word in example]
        context = click.Context(imagestore, info_name="imagestore")
        command: click.Command = imagestore
        while isinstance(command, click.Group):
            name, command, example = command.resolve_command(context, example)  # type: ignore[assignment]  # names one
            context = click.Context(command, parent=context, info_name=name)
        command.parse_args(context, list(example))  # Raises what a person would be told.


def test_every_command_has_an_example() -> None:
    assert set(COMMANDS) == {example[0] for example in examples_of_commands()}


def test_the_examples_of_looking_and_moving_run(
    around: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder_for_examples(tmp_path, monkeypatch)
    around.client.upload(photo(60, 40, seed=81), domain="demo", dkey="sample.jpg", overwrite=True)
    with open_overview(find_settings()) as overview:
        wait_until(lambda: bool(overview.of()["queues"]["workers"]), what="a worker shows itself")
    monkeypatch.setenv("SIGNING_KEYS", f"k1={'s' * 40}")
    first = next(around.client.images()).id

    for example in examples_of_commands():
        if example[0] in ("import", "export", "info", "url", "tasks", "stats", "doctor"):
            arguments = [str(first) if word == "1" else word for word in example]
            status = main(arguments)

            assert status == 0, f"{example}: {capsys.readouterr().err}"


def folder_for_examples(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the examples speak of, in the working directory."""
    monkeypatch.chdir(folder)
    for name in ("photos/cat.jpg", "listed.jpg"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(photo(40, 30, seed=len(name)))
    (folder / "list.csv").write_text("file,domain,dkey\nlisted.jpg,demo,listed.jpg\n")
    (folder / "backup").mkdir()
    (folder / "backup/records.jsonl").write_text("")
