"""Where originals lie in a store: under the first digits of their hashes, or on a shelf."""

import re
from typing import Literal

Shelf = Literal[".quarantine", ".trash"]
"""Where originals are moved to that must not be found any more: damaged ones, and those that no row
needs until that is certain. A hash never begins with a dot."""

OWNER = ".owner"
"""The file that says whose originals a store has."""

SHA256 = re.compile(r"[0-9a-f]{64}")


def path_of(sha256: str, shelf: Shelf | None = None) -> str:
    """Where an original lies.

    Raises:
        ValueError: that is no hash.
    """
    if not SHA256.fullmatch(sha256):
        raise ValueError(f"sha256 is {sha256!r}, expected 64 lower-case hex digits")
    return f"{shelf}/{sha256}" if shelf else f"{path_prefix(sha256)}/{sha256}"


def path_prefix(sha256: str) -> str:
    """The two folders of an original."""
    return f"{sha256[:2]}/{sha256[2:4]}"
