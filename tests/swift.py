"""A real S3 server for the tests: OpenStack Swift, from `.venv-swift` (see `s3server.py`)."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from botocore.config import Config

from tests.servers import ROOT, Server, free_port

ACCESS_KEY, SECRET_KEY = "test:tester", "testing"


@contextlib.contextmanager
def s3_server(folder: Path) -> Iterator[Server]:
    """A Swift that keeps its objects in `folder`, ready to answer S3 requests on its port."""
    python = ROOT / ".venv-swift" / "bin" / "python"
    if not python.exists():
        missing = "OpenStack Swift is not installed; run `make install`"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    # -P: its own folder must not come first, or `import swift` would find this module.
    command = [str(python), "-P", str(ROOT / "tests" / "s3server.py"), str(folder), str(port)]
    # Signatures hold times in UTC, and Swift reads a date of a header as local time.
    server = Server(command, port, folder / "swift.log", env={"TZ": "UTC"}).start()
    try:
        yield server
    finally:
        server.stop()


def endpoint(server: Server) -> str:
    return f"http://127.0.0.1:{server.port}"


def make_bucket(server: Server, name: str) -> None:
    """Create an empty bucket."""
    client = boto3.client(
        "s3",
        endpoint_url=endpoint(server),
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
        region_name="us-east-1",
        config=Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=20),
    )
    client.create_bucket(Bucket=name)
    client.close()


def storage_url(server: Server, bucket: str, prefix: str = "", *, secret: str = SECRET_KEY) -> str:
    """What STORAGE_URL says for this bucket."""
    key = ACCESS_KEY.replace(":", "%3A")
    return f"s3://{key}:{secret}@{bucket}/{prefix}?endpoint_url={endpoint(server)}&region=us-east-1"
