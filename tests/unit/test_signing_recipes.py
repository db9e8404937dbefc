"""The recipes of docs/signing.md, run as they are written there."""

import re
import shutil
import subprocess
import sys

import pytest

from imagestore.signing import SigningKey, sign
from tests.servers import ROOT

KEY = SigningKey("2026a", "a-secret-of-32-characters-or-more")
URL = "/photos/caf%C3%A9.jpg"

SHELL = shutil.which("sh") or "sh"
INTERPRETERS = {"python": [sys.executable, "-"], "javascript": ["node", "-"], "php": ["php"], "sh": [SHELL]}


@pytest.mark.parametrize("language", INTERPRETERS)
def test_recipe_signs_as_we_do(language: str) -> None:
    command = INTERPRETERS[language]
    if shutil.which(command[0]) is None:
        pytest.skip(f"there is no {command[0]} here")
    blocks = re.findall(rf"```{language}\n(.*?)```", (ROOT / "docs" / "signing.md").read_text(), re.DOTALL)
    assert len(blocks) == 1

    ran = subprocess.run(command, input=blocks[0].encode(), capture_output=True, check=True, timeout=60)

    expected = sign(URL, KEY, expires=1_900_000_000)
    assert ran.stdout.decode().strip() == (expected.replace("%C3%A9", "é") if language == "sh" else expected)
