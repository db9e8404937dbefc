"""The store of originals: a local folder, an S3 bucket, or any PyFilesystem, behind one class.

An original is stored once, under its SHA-256: `ab/cd/<sha256>`. A path is only ever made from a
hash that was checked here. PyFilesystem2 is known here, in `stores/` and in `s3.py` only.
"""

from pathlib import Path
from urllib.parse import unquote

import fs
from fs import errors
from fs.opener.errors import OpenerError

from imagestore import localdisk
from imagestore.settings import Settings
from imagestore.stores.base import SPOOLED, Storage
from imagestore.stores.fallback import FallbackStorage
from imagestore.stores.folder import open_folder
from imagestore.stores.layout import Shelf

__all__ = ["Shelf", "Storage", "open_storage", "open_storages"]


def open_storages(settings: Settings) -> Storage:
    """The store that STORAGE_URL names; that of STORAGE_FALLBACK_URL, if it is set, is read where the first
    lacks an original.

    Raises:
        ValueError: as `open_storage`; the message names the variable.
    """
    spool_dir = settings.spool_dir
    new = open_storage(settings.storage_url, spool_dir=spool_dir)
    if not settings.storage_fallback_url:
        return new
    try:
        old = open_storage(settings.storage_fallback_url, spool_dir=spool_dir)
    except ValueError as error:
        # The message of the one serves for the other: it repeats no secret.
        raise ValueError(str(error).replace("STORAGE_URL", "STORAGE_FALLBACK_URL")) from None
    return FallbackStorage(new, old, spool_dir)


def open_storage(url: str, *, spool_dir: Path) -> Storage:
    """The store that `STORAGE_URL` names.

    An absolute path, `file:///folder` or `osfs:///folder` (made with mode 0750 if missing);
    `s3://KEY:SECRET@bucket/prefix?endpoint_url=&region=&read_timeout=` (each part may be
    percent-encoded, as `/`, `@`, `:` and `?` in a key must be; without keys boto3 looks in its usual
    places; `read_timeout` is 1 to 60 seconds); or any other PyFilesystem URL, such as `mem://`.
    An S3 store is not asked anything yet.

    Copies of originals that are not local lie in `spool_dir` for as long as they are needed.

    Raises:
        ValueError: one line, without any secret, that says what is wrong with STORAGE_URL.
    """
    spool_dir.mkdir(parents=True, exist_ok=True)
    localdisk.sweep(spool_dir, prefix=SPOOLED)
    scheme, separator, rest = url.partition("://")
    if not separator or scheme in ("file", "osfs"):
        try:
            return open_folder(unquote(rest) if separator else url, spool_dir)
        except ValueError as error:
            raise ValueError(f"STORAGE_URL: {error}") from error
    if scheme == "s3":
        # Here, because boto3 costs a process 26 MB and 0.25 s, which a local store need not pay.
        from imagestore.s3 import StreamingS3FS
        from imagestore.stores.bucket import BucketStorage

        return BucketStorage(StreamingS3FS.from_url(url), spool_dir)
    # No chaining and no echo below: PyFilesystem's messages repeat the URL with its password.
    try:
        return Storage(fs.open_fs(url), spool_dir)
    except (errors.FSError, OpenerError, OSError, ValueError) as error:
        fault = type(error).__name__
    raise ValueError(f"STORAGE_URL: PyFilesystem cannot open this kind of store ({fault})")
