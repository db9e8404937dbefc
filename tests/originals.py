"""What the tests of the store share: one original, and stores of their own to put it in."""

import hashlib
from pathlib import Path

from imagestore.storage import Storage, open_storage
from tests.servers import Server
from tests.swift import storage_url

BUCKET = "originals"
CONTENT = bytes(range(256)) * 40
SHA256 = hashlib.sha256(CONTENT).hexdigest()
STORED_AT = f"{SHA256[:2]}/{SHA256[2:4]}/{SHA256}"
"""Where the design says that this original lies."""


def folder_storage(folder: Path) -> Storage:
    """A store in `folder/originals`, with its spool in `folder/spool`."""
    return open_storage(f"file://{folder}/originals", spool_dir=folder / "spool")


def bucket_storage(server: Server, folder: Path) -> Storage:
    """A store under a prefix of its own, so that no test sees another's originals."""
    return open_storage(storage_url(server, BUCKET, f"run/{folder.name}"), spool_dir=folder / "spool")


def spooled(folder: Path, content: bytes) -> Path:
    """A file as an upload leaves it: complete, private, to be unlinked by its owner."""
    path = folder / f"upload-{hashlib.sha256(content).hexdigest()[:8]}"
    path.write_bytes(content)
    path.chmod(0o600)
    return path


def content_of(storage: Storage, sha256: str) -> bytes:
    with storage.read(sha256) as original:
        return original.read()
