"""Copies the console's libraries from npm into the repository, as dev/console/package-lock.json pins them.

usage: python -m dev.vendor_console       (needs npm; `make vendor`)

npm checks each package by the lock's hash. What is copied is noted in dev/console/vendored.json: the
package's hash and each file's, which a test holds against the lock and against the files.
"""

import hashlib
import json
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "dev" / "console"
TARGET = ROOT / "api" / "console" / "static" / "vendor"
LOCK, NOTE = SOURCE / "package-lock.json", SOURCE / "vendored.json"

COPIED: Mapping[str, Mapping[str, str]] = {
    "@picocss/pico": {"css/pico.min.css": "pico.min.css", "LICENSE.md": "pico.LICENSE.txt"},
    "htm": {"dist/htm.mjs": "htm.mjs", "LICENSE": "htm.LICENSE.txt"},
    "preact": {
        "dist/preact.mjs": "preact.mjs",
        "hooks/dist/hooks.mjs": "hooks.mjs",
        "LICENSE": "preact.LICENSE.txt",
    },
}
"""Package -> file in it -> name in the repository."""


def vendor() -> dict[str, Any]:
    """Copy the files, unchanged, and give the note about them."""
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"]
    subprocess.run(command, cwd=SOURCE, check=True)  # noqa: S603 - the command is ours
    locked = json.loads(LOCK.read_text())["packages"]
    shutil.rmtree(TARGET, ignore_errors=True)
    TARGET.mkdir(parents=True)
    note = {}
    for package, copied in COPIED.items():
        folder = SOURCE / "node_modules" / package
        hashes = {name: _copy(folder / source, TARGET / name) for source, name in copied.items()}
        pinned = locked[f"node_modules/{package}"]
        note[package] = {"version": pinned["version"], "integrity": pinned["integrity"], "sha256": hashes}
    return note


def _copy(source: Path, target: Path) -> str:
    content = source.read_bytes()
    target.write_bytes(content)
    return hashlib.sha256(content).hexdigest()


if __name__ == "__main__":
    NOTE.write_text(json.dumps(vendor(), indent=2) + "\n")
