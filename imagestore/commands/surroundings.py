"""The environment that the commands see: the variables that are set, completed by what `make run` left.

`make run` notes in its data directory where its servers are, since some of that is decided at its
start: the sockets' folder, and defaults of its own. So a command in another terminal finds the same
database, store and Redis without being told.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path

from imagestore.apikeys import API_KEY_FILE

NOTE = Path("run", "surroundings.json")
"""Name in the data directory of what `make run` notes; it holds secrets, so only its owner may read it."""

NOTED = (
    "DATABASE_URL",
    "REDIS_URL",
    "QUEUE_URL",
    "STORAGE_URL",
    "STORAGE_FALLBACK_URL",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "SIGNING_KEYS",
)
"""The settings that say where things are, and `<NAME>_FILE` of each."""

SERVER = "IMAGESTORE_SERVER"

_CHECKOUT = Path(__file__).resolve().parents[2]


def surroundings(env: Mapping[str, str] | None = None, *, data_dir: str | None = None) -> dict[str, str]:
    """`env` (by default the process' own), completed.

    A variable that is set goes before the note, and the argument `data_dir` before `DATA_DIR`. That
    is by default what it is for `make run`: `var` in the checkout that this file belongs to, else in
    the working directory.
    """
    given = {name: value for name, value in (os.environ if env is None else env).items() if value}
    folder = Path(data_dir or given.get("DATA_DIR") or _default_data_dir()).absolute()
    found = {**_noted(folder, given), **given, "DATA_DIR": str(folder)}
    if not any(found.get(name) for name in ("API_KEY", "API_KEY_FILE")) and (folder / API_KEY_FILE).exists():
        found["API_KEY_FILE"] = str(folder / API_KEY_FILE)
    return found


def note(data_dir: Path, env: Mapping[str, str], *, server: str) -> None:
    """Leave in `data_dir` what `surroundings` shall find; `env` is that of the servers.

    Raises:
        OSError: it cannot be written.
    """
    names = [form for name in NOTED for form in (name, f"{name}_FILE")]
    noted = {name: _absolute(name, env[name]) for name in names if env.get(name)}
    target = data_dir / NOTE
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = target.with_suffix(".new")
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump({SERVER: server, **noted}, file, indent=1)
    fresh.replace(target)


def _default_data_dir() -> Path:
    return (_CHECKOUT if (_CHECKOUT / "Makefile").exists() else Path()) / "var"


def _noted(data_dir: Path, given: Mapping[str, str]) -> dict[str, str]:
    """What the note says, but for what is given in another form: `REDIS_URL_FILE` for `REDIS_URL`."""
    try:
        noted: dict[str, str] = json.loads((data_dir / NOTE).read_text())
    except (OSError, ValueError):
        # There is none, or none for us: then the defaults hold, as for a server without `make run`.
        return {}
    other_form = {
        name: name.removesuffix("_FILE") if name.endswith("_FILE") else f"{name}_FILE" for name in noted
    }
    return {name: value for name, value in noted.items() if other_form[name] not in given}


def _absolute(name: str, value: str) -> str:
    """A path that the servers resolve in their working directory, for those who work elsewhere."""
    if name.endswith("_FILE") or (name in ("STORAGE_URL", "STORAGE_FALLBACK_URL") and "://" not in value):
        return os.path.abspath(value)
    scheme, found, path = value.partition("sqlite:///")
    if found and not scheme and not path.startswith(("/", ":")):
        return f"sqlite:///{os.path.abspath(path)}"
    return value
