"""How long nginx waits for a rendition: for as long as the API may need for one, in a container too."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from dev.nginx import DEFAULTS, render_wait_s
from imagestore.settings import Settings
from tests.servers import ROOT


@pytest.mark.parametrize(
    ("variables", "seconds"),
    [
        ({}, 4 + 10 + 6),
        ({"RENDER_TIMEOUT_S": "", "RENDER_QUEUE_TIMEOUT_S": ""}, 4 + 10 + 6),
        ({"RENDER_TIMEOUT_S": "60"}, 4 + 60 + 6),
        ({"RENDER_TIMEOUT_S": "2.5", "RENDER_QUEUE_TIMEOUT_S": "0.2"}, 3 + 6),
    ],
)
def test_nginx_waits_for_the_queue_the_render_and_the_store(
    tmp_path: Path, variables: dict[str, str], seconds: int
) -> None:
    start = (ROOT / "nginx" / "container" / "start").read_text()
    (line,) = re.findall(r"^RENDER_WAIT_S=.*\\\n.*$", start, re.MULTILINE)

    in_container = subprocess.run(
        ["sh", "-c", f'{line}\nprintf %s "$RENDER_WAIT_S"'],
        env={"PATH": os.environ["PATH"], **variables},
        capture_output=True,
        text=True,
        check=True,
    )

    assert render_wait_s(Settings.from_env({"DATA_DIR": str(tmp_path), **variables})) == seconds
    assert in_container.stdout == str(seconds)
    assert DEFAULTS["RENDER_WAIT_S"] == "20"
