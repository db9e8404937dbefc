"""File names for dkeys: readable, different for different dkeys, and never outside of their folder."""

import hashlib
import re
from pathlib import PurePosixPath

MAX_NAME_BYTES = 200
"""Of one part of a path; file systems end at 255, and a file under way has a longer name."""

_UNSAFE = re.compile(r'[\x00-\x1f\x7f<>:"|?*\\%]')
"""What some file system has a meaning for, and the sign that escapes it."""


def path_of(dkey: str, *, format: str) -> PurePosixPath:
    """The relative path of a dkey's file. Slashes make folders; what is not safe in a name is `%xx`.

    A part that is empty, begins with a dot or ends in a dot or a blank is escaped too. Where that
    would be too long, the name is made of the dkey's hash: see `fallback_of`.
    """
    parts = [_escaped(part) for part in dkey.split("/")]
    if any(len(part.encode()) > MAX_NAME_BYTES for part in parts):
        return fallback_of(dkey, format=format)
    return PurePosixPath(*parts)


def fallback_of(dkey: str, *, format: str) -> PurePosixPath:
    """Another path, for a dkey whose own cannot be: `a/b` beside a picture `a`, or a name too long.

    No dkey's own path begins like that, since a `%` in a dkey is escaped itself.
    """
    return PurePosixPath("%", f"{hashlib.sha256(dkey.encode()).hexdigest()}.{format}")


def _escaped(part: str) -> str:
    text = _UNSAFE.sub(lambda match: f"%{ord(match[0]):02x}", part)
    if text.startswith("."):
        text = "%2e" + text[1:]
    if text.endswith((".", " ")):
        text = f"{text[:-1]}%{ord(text[-1]):02x}"
    return text or "%"
