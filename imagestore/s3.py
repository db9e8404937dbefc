"""Originals in an S3 bucket: one request an operation, streamed, with deadlines, thread-safe.

The stock S3FS of fs-s3fs 1.1.1 needs 5 requests for an upload and 4 for a read, copies every object
to a temporary file, closes the caller's file, and cannot be given a timeout: a store that accepts and
never answers held it for over 100 s (all measured). What `storage.py` calls is written anew here
over a flat space of keys; the rest is inherited and unused.
"""

import contextlib
import io
import re
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, BinaryIO
from urllib.parse import urlsplit

from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from fs import ResourceType, errors
from fs.info import Info
from fs.opener.parse import parse_fs_url
from fs.path import basename
from fs_s3fs import S3FS

from imagestore.breaker import Breaker
from imagestore.patience import waited_s
from imagestore.s3client import READ_TIMEOUT_S, make_client

PRESIGNED_LIFE_S = 60
"""nginx fetches at once; the life only covers clocks that differ a little."""

_FULL = {"QuotaExceeded", "InsufficientCapacity", "InsufficientStorage", "XMinioStorageFull"}
"""Error codes of Ceph, SeaweedFS and MinIO for a full disk or quota; others answer status 507."""

_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{2,254}")
"""The old, wider rule (S3 User Guide, "Bucket naming rules"); Swift and Ceph still keep it."""

HANG_S = 1.0
"""A request that failed after a longer time than this hung; a refusal comes at once."""

_SECONDS = re.compile(r"([1-9]|[1-5][0-9])(\.[0-9]+)?|60")


class StreamingS3FS(S3FS):  # type: ignore[misc]  # fs-s3fs has no types
    """A bucket (or a prefix of one) as a flat space of keys; errors are PyFilesystem's.

    One boto3 client serves all threads (boto3 documents clients as thread-safe). It is made at
    first use, so that a process may fork before.
    """

    def __init__(
        self,
        bucket: str,
        prefix: str,
        *,
        access_key: str | None,
        secret_key: str | None,
        endpoint_url: str | None,
        region: str | None,
        read_timeout_s: float = READ_TIMEOUT_S,
    ) -> None:
        super().__init__(
            bucket,
            dir_path=prefix or "/",
            aws_access_key_id=access_key,
            aws_secret_access_key=secret_key,
            endpoint_url=endpoint_url,
            region=region,
            strict=False,
        )
        self._read_timeout_s = read_timeout_s
        self._making = threading.Lock()
        self._shared: Any = None
        self._link = Breaker("store of originals")
        self._answered = 0.0

    @classmethod
    def from_url(cls, url: str) -> "StreamingS3FS":
        """The bucket of `s3://KEY:SECRET@bucket/prefix?endpoint_url=&region=&read_timeout=`.

        Raises:
            ValueError: one line that repeats nothing of the URL, since a secret with an unescaped
                character in it may stand anywhere.
        """
        parts = parse_fs_url(url)
        bucket, _, prefix = parts.resource.partition("/")
        options = {"endpoint_url": None, "region": None, "read_timeout": str(READ_TIMEOUT_S), **parts.params}
        if not _BUCKET.fullmatch(bucket):
            raise ValueError("STORAGE_URL: no valid bucket name, expected s3://KEY:SECRET@bucket/prefix")
        if bool(parts.username) != bool(parts.password):
            raise ValueError("STORAGE_URL: expected both access key and secret, or neither")
        if len(options) > 3:
            raise ValueError("STORAGE_URL: the only options of s3:// are endpoint_url, region, read_timeout")
        if options["endpoint_url"] is not None and not _is_http(options["endpoint_url"]):
            raise ValueError("STORAGE_URL: endpoint_url is not an http:// or https:// address")
        if not _SECONDS.fullmatch(options["read_timeout"]):
            raise ValueError("STORAGE_URL: read_timeout is not a number of seconds from 1 to 60")
        return cls(
            bucket,
            prefix.strip("/"),
            access_key=parts.username or None,
            secret_key=parts.password or None,
            endpoint_url=options["endpoint_url"],
            region=options["region"],
            read_timeout_s=float(options["read_timeout"]),
        )

    @property
    def client(self) -> Any:
        """The one client; credentials that are not given come from boto3's usual chain."""
        with self._making:
            if self._shared is None:
                self._shared = make_client(
                    access_key=self.aws_access_key_id,
                    secret_key=self.aws_secret_access_key,
                    endpoint_url=self.endpoint_url,
                    region=self.region,
                    read_timeout_s=self._read_timeout_s,
                )
            return self._shared

    def upload(self, path: str, file: BinaryIO, chunk_size: int | None = None, **options: Any) -> None:
        """Put a seekable file as one PutObject (at most 5 GB, S3 User Guide); the file stays open."""
        with self._asking(path):
            self.client.put_object(
                Bucket=self._bucket_name,
                Key=self._path_to_key(path),
                Body=file,
                ContentType="application/octet-stream",
            )

    def openbin(self, path: str, mode: str = "r", buffering: int = -1, **options: Any) -> "_ObjectReader":
        """The object as a stream that cannot seek; only for reading."""
        if mode not in ("r", "rb"):
            raise errors.Unsupported(path)
        with self._asking(path):
            answer = self.client.get_object(Bucket=self._bucket_name, Key=self._path_to_key(path))
        return _ObjectReader(answer["Body"], path)

    def getinfo(self, path: str, namespaces: object = None) -> Info:
        """Name, size and time of the last put."""
        with self._asking(path):
            head = self.client.head_object(Bucket=self._bucket_name, Key=self._path_to_key(path))
        details = {
            "size": head["ContentLength"],
            "modified": head["LastModified"].timestamp(),
            "type": int(ResourceType.file),
        }
        return Info({"basic": {"name": basename(path), "is_dir": False}, "details": details})

    def remove(self, path: str) -> None:
        """Delete the object; S3 does not tell whether it was there."""
        with self._asking(path):
            self.client.delete_object(Bucket=self._bucket_name, Key=self._path_to_key(path))

    def copy(self, source: str, target: str) -> None:
        """Copy an object within the bucket, by the store itself (at most 5 GB, S3 User Guide)."""
        with self._asking(source):
            self.client.copy_object(
                Bucket=self._bucket_name,
                Key=self._path_to_key(target),
                CopySource={"Bucket": self._bucket_name, "Key": self._path_to_key(source)},
            )

    def objects(self, *, below: str = "", after: str = "") -> Iterator[tuple[str, int, datetime]]:
        """Path, bytes and time (UTC) of the last put of every object, in the order of paths: one
        request for 1,000 of them. Only paths that begin with `below`, or come after `after`."""
        prefix = f"{self._prefix}/" if self._prefix else ""
        start = {"StartAfter": prefix + after} if after else {}
        with _translated("/"):
            pages = self.client.get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=self._bucket_name, Prefix=prefix + below, **start):
                for found in page.get("Contents", ()):
                    yield (
                        found["Key"].removeprefix(prefix),
                        found["Size"],
                        found["LastModified"].astimezone(UTC),
                    )

    def presign(self, path: str) -> str:
        """A URL that gives the object to whoever has it, for `PRESIGNED_LIFE_S` seconds; no request."""
        with _translated(path):
            wanted = {"Bucket": self._bucket_name, "Key": self._path_to_key(path)}
            return str(self.client.generate_presigned_url("get_object", wanted, ExpiresIn=PRESIGNED_LIFE_S))

    def probe(self) -> None:
        """Ask for the bucket: it is there, it answers, and it takes our key."""
        with self._asking("/"):
            self.client.head_bucket(Bucket=self._bucket_name)

    @contextlib.contextmanager
    def _asking(self, path: str) -> Iterator[None]:
        """Around one request: errors in PyFilesystem's words, and none at all while the store hangs.

        Each would hold a thread for READ_TIMEOUT_S, until even answers that need no original wait for
        one. A request that hung while others were answered was bad luck, and counts for nothing. Who has
        waited already, for a processor, leaves it to others to find out whether the store is back: of
        the 5 s for a 503 too little is left.
        """
        if not self._link.allows(may_try=waited_s() < HANG_S):
            raise errors.RemoteConnectionError(path, msg="the store did not answer a moment ago")
        started = time.monotonic()
        try:
            with _translated(path):
                yield
        except errors.RemoteConnectionError as error:
            if time.monotonic() - started > HANG_S and self._answered < started:
                self._link.failed(error)
            raise
        except errors.FSError:
            self._has_answered()
            raise
        self._has_answered()

    def _has_answered(self) -> None:
        self._answered = time.monotonic()
        self._link.succeeded()

    def close(self) -> None:
        if self._shared is not None:
            self._shared.close()
        super().close()


class _ObjectReader(io.RawIOBase):
    """One GET's body; a body shorter than announced is an error."""

    def __init__(self, body: Any, path: str) -> None:
        super().__init__()
        self._body = body
        self._path = path

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        with _translated(self._path):
            return int(self._body.readinto(buffer))

    def close(self) -> None:
        if not self.closed:
            self._body.close()
        super().close()


@contextlib.contextmanager
def _translated(path: str) -> Iterator[None]:
    """boto's errors in PyFilesystem's words."""
    try:
        yield
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code")
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        if status == 507 or code in _FULL:
            raise errors.InsufficientStorage(path, exc=error) from error
        if status == 404 and code != "NoSuchBucket":
            raise errors.ResourceNotFound(path, exc=error) from error
        if status == 403:
            raise errors.PermissionDenied(path, exc=error) from error
        raise errors.OperationFailed(path, exc=error) from error
    except HTTPClientError as error:
        raise errors.RemoteConnectionError(path, exc=error) from error
    except BotoCoreError as error:
        raise errors.OperationFailed(path, exc=error) from error


def _is_http(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
