"""Every block of code in the documents is run, or at least true to the code; a new one has to say which.

README and guides are run here, top to bottom, as a newcomer would. What needs containers or takes a
whole `make` is compared with compose.yaml, the Makefile and the command itself; `make test-stack` and
test_run.py start both.
"""

import itertools
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import click
import pytest
import yaml

from imagestore.callbacks import sign
from imagestore.commands import imagestore
from imagestore.settings import Settings
from tests.commands.conftest import Served
from tests.documents import DOCUMENTS, Block, anchors, blocks, commands, links, simple_commands
from tests.origin import answer
from tests.pictures import photo
from tests.servers import ROOT

BLOCKS = blocks()
GUIDES = sorted({block.file for block in BLOCKS if block.file.startswith(("README.md", "docs/guides/"))})

NO_COMMANDS = {
    ("docs/architecture.md", "+--------------------- nginx ----------------------+"): "a drawing",
    (
        "docs/commands.md",
        "fault    redis policy   maxmemory-policy is allkeys-lru",
    ): "what doctor prints",
    ("docs/signing.md", "SIGNING_KEYS='2026a=a-secret-of-32-characters-or-more'"): "settings",
    (
        "docs/signing.md",
        "signature = first 32 characters of base64url(HMAC-SHA256(secret, text))",
    ): "a formula",
    ("docs/signing.md", "GET /image/read?id=7&width=300&expires=1900000000&kid=2026a&sig=..."): "a request",
}
"""Blocks without a language that are nothing to type, with what they are."""

RUN_ELSEWHERE = {
    ("docs/client.md", "python"): "test_documents.py",
    ("docs/signing.md", "python"): "test_signing_recipes.py",
    ("docs/signing.md", "javascript"): "test_signing_recipes.py",
    ("docs/signing.md", "php"): "test_signing_recipes.py",
    ("docs/signing.md", "sh"): "test_signing_recipes.py",
}

STACK_PROGRAMS = {"docker", "make", "kubectl", "git"}
PLAIN_TOOLS = {
    "cat",
    "cp",
    "cut",
    "eval",
    "export",
    "git",
    "grep",
    "jq",
    "md5sum",
    "mkdir",
    "openssl",
    "printf",
} | {
    "source",
    "tail",
    "tar",
    "true",
}
"""Nothing of ours; that they exist is not our business."""


def is_shell(block: Block) -> bool:
    return block.language in ("sh", "") and (block.file, block.first) not in NO_COMMANDS


def key(block: Block) -> tuple[str, str]:
    return block.file, block.language


def is_run_here(block: Block) -> bool:
    if block.file not in GUIDES or block.language != "sh":
        return False
    return not any(
        words[0] in STACK_PROGRAMS for line in commands(block.code) for words in simple_commands(line)
    )


def test_every_block_is_of_a_kind_that_a_test_looks_at() -> None:
    known = {"sh", "", "python", "json", "html", "ini", "text", "yaml"}

    strange = [str(b) for b in BLOCKS if b.language not in known and key(b) not in RUN_ELSEWHERE]
    unused = set(NO_COMMANDS) - {(b.file, b.first) for b in BLOCKS}

    assert (strange, unused) == ([], set())
    for name in set(RUN_ELSEWHERE.values()):
        assert list((ROOT / "tests").rglob(name)), name


@pytest.mark.parametrize("file", sorted({block.file for block in BLOCKS if is_run_here(block)}))
def test_readme_and_guides_run_from_top_to_bottom(file: str, served: Served, tmp_path: Path) -> None:
    served.origin.paths["/boat.jpg"] = answer(body=photo(40, 30, seed=7))
    served.client.upload(ROOT / "docs/sample.jpg", domain="demo", dkey="sample.jpg", overwrite=True)
    served.client.upload(ROOT / "docs/pictures/logo.png", domain="watermark", dkey="logo", overwrite=True)
    # A copy, since an import leaves its journal beside the folder.
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    (tmp_path / ".venv").symlink_to(ROOT / ".venv")
    (tmp_path / "var").mkdir()
    (tmp_path / "var/api-key").write_text(served.env["API_KEY"])

    for block in (b for b in BLOCKS if b.file == file and is_run_here(b)):
        code = block.code.replace("http://127.0.0.1:8080", served.stack.address)
        code = code.replace("https://pictures.example.org", served.origin.url(""))
        # A failure of curl is silent otherwise; so is that of a pipe's first program.
        code = 'curl() { command curl --fail-with-body --silent --show-error "$@"; }\n' + code
        done = subprocess.run(
            ["sh", "-eu", "-c", code],
            cwd=tmp_path,
            env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), **served.env},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        # `import` of a list whose URL answers 404 ends with 1, as the guide wants to show.
        assert done.returncode == 0, f"{block}: {done.stdout[-2000:]}{done.stderr[-2000:]}"


@pytest.mark.parametrize("block", [b for b in BLOCKS if is_shell(b) and key(b) not in RUN_ELSEWHERE], ids=str)
def test_every_command_exists_with_its_files_services_and_options(
    block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder_for_examples(tmp_path, monkeypatch)

    for line in commands(block.code):
        for words in simple_commands(line):
            check(words)


@pytest.mark.parametrize("block", [b for b in BLOCKS if b.language == "ini"], ids=str)
def test_settings_in_the_guides_are_settings(block: Block) -> None:
    env = dict(line.split("=", 1) for line in block.code.splitlines() if line)

    Settings.from_env(env)

    listed = (ROOT / "docs/settings.md").read_text()
    assert [name for name in env if f"`{name}`" not in listed] == []


@pytest.mark.parametrize("block", [b for b in BLOCKS if b.language == "json"], ids=str)
def test_json_in_the_documents_is_json(block: Block) -> None:
    json.loads(block.code)


@pytest.mark.parametrize(
    "block", [b for b in BLOCKS if b.language == "python" and key(b) not in RUN_ELSEWHERE], ids=str
)
def test_python_in_the_guides_runs(block: Block) -> None:
    exec(compile(block.code, block.file, "exec"), {})


def test_the_guide_s_check_of_a_callback_takes_ours_and_no_other() -> None:
    names: dict[str, Any] = {}
    (block,) = [b for b in BLOCKS if b.file == "docs/guides/crawl.md" and b.language == "python"]
    exec(compile(block.code, block.file, "exec"), names)
    secret, body = "whsec_" + "A" * 32, b'{"id": 1}'
    moment = int(names["time"].time())
    headers = sign(secret, "task-1", moment, body)

    assert names["genuine"](headers, body, secret)
    assert not names["genuine"](headers, body + b" ", secret)
    assert not names["genuine"]({**headers, "webhook-timestamp": "1"}, body, secret)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_lead_to_files_and_headings_that_exist(path: Path) -> None:
    broken = []
    for link in links(path):
        parts = urlsplit(link)
        if parts.scheme:
            continue
        target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
        missing = not target.exists() or not target.is_relative_to(ROOT)
        if missing or (parts.fragment and parts.fragment not in anchors(target)):
            broken.append(link)
    assert broken == []


def test_the_runbook_has_every_alert_and_no_other() -> None:
    rules = yaml.safe_load((ROOT / "monitoring/alerts.yml").read_text())["groups"]
    alerts = {rule["alert"] for group in rules for rule in group["rules"]}

    headings = re.findall(
        r"^## (Imagestore\w+)$", (ROOT / "docs/guides/runbook.md").read_text(), re.MULTILINE
    )

    assert set(headings) == alerts


def check(words: list[str]) -> None:
    """Raises what is wrong with one command."""
    program = words[0].removeprefix(".venv/bin/")
    if program == "imagestore":
        check_imagestore(words[1:])
    elif program == "make":
        targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
        assert {word for word in words[1:] if "=" not in word} <= targets, words
    elif words[:2] == ["docker", "compose"]:
        check_compose(words[2:])
    elif program == "kubectl":
        for option, value in itertools.pairwise(words):
            # The secrets are a copy that the reader makes.
            if option in ("-f", "-k") and value != "kubernetes/secrets.yaml":
                assert (ROOT / value).exists(), words
    elif program == "docker":
        assert words[1:3] == ["run", "--rm"], words
    elif program == "curl":
        check_curl(words)
    else:
        assert program in PLAIN_TOOLS, f"{program}: run it, or say in the test why not"


def check_curl(words: list[str]) -> None:
    paths = [urlsplit(word).path for word in words if word.startswith("http://127.0.0.1:8080")]
    assert paths, words
    first = {
        "image",
        "images",
        "tasks",
        "keys",
        "upload-tokens",
        "signed-urls",
        "health",
        "demo",
        "watermark",
        "docs",
    }
    for path in paths:
        assert path.removeprefix("/v1").split("/")[1] in first, path


def check_compose(words: list[str]) -> None:
    """The files, profiles and services of a `docker compose` exist, and what runs in a container is
    understood."""
    given, words = compose_options(words)
    services: dict[str, Any] = {}
    for file in given["-f"] or ["compose.yaml"]:
        services |= yaml.safe_load((ROOT / file).read_text())["services"]
    profiles = {name for service in services.values() for name in service.get("profiles", [])}
    assert set(given["--profile"]) <= profiles, given
    verb, words = words[0], words[1:]
    assert verb in {"up", "down", "ps", "logs", "exec", "run", "restart", "config"}, verb
    with_value = {"--scale", "--tail", "--since", "-v"}
    while words and words[0].startswith("-"):
        if words[0] == "--scale":
            assert words[1].partition("=")[0] in services, words
        words = words[2 if words[0] in with_value else 1 :]
    if verb in ("exec", "run"):
        assert words[0] in services, words
        if words[1] == "imagestore":
            check_imagestore(words[2:])
    else:
        assert set(words) <= services.keys(), words


def compose_options(words: list[str]) -> tuple[dict[str, list[str]], list[str]]:
    """What stands before the verb, by option, and the rest."""
    given: dict[str, list[str]] = {"-f": [], "--profile": []}
    while words[0] in given:
        given[words[0]].append(words[1])
        words = words[2:]
    return given, words


def check_imagestore(words: list[str]) -> None:
    """Raises what a person would be told."""
    if "--help" in words:
        return
    # A folder that the test may not make is one of the working directory here.
    words = [word.removeprefix("/") for word in words]
    context = click.Context(imagestore, info_name="imagestore")
    command: click.Command = imagestore
    while isinstance(command, click.Group):
        name, command, words = command.resolve_command(context, words)  # type: ignore[assignment]  # names one
        context = click.Context(command, parent=context, info_name=name)
    command.parse_args(context, list(words))


def folder_for_examples(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the examples speak of, in the working directory."""
    monkeypatch.chdir(folder)
    (folder / "docs").symlink_to(ROOT / "docs")
    for name in ("photos", "backup/originals", "data"):
        (folder / name).mkdir(parents=True)
    for name in ("list.csv", "backup/records.jsonl"):
        (folder / name).touch()
