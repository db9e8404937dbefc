"""boto3's client of an S3 store, with deadlines and one quick retry."""

from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ConnectionClosedError

CONNECT_TIMEOUT_S = 2.0
READ_TIMEOUT_S = 3.5
"""Per socket read, so a long transfer may take its time while bytes flow.

botocore waits 1 s for `100 Continue` before it sends a PUT's body, so a stopped store costs a PUT
1 s + 3.5 s and everything else 3.5 s: under the 5 s in which a 503 is promised."""

_PASSING = {500, 502, 503, 504}
"""S3 documents InternalError and SlowDown (500, 503) as worth a retry; 502 and 504 come from proxies."""


def make_client(
    *,
    access_key: str | None,
    secret_key: str | None,
    endpoint_url: str | None,
    region: str | None,
    read_timeout_s: float,
) -> Any:
    """A client of S3, or of the store at `endpoint_url`; credentials that are not given come from boto3's
    usual chain. `read_timeout_s` is for one read of a socket."""
    config = Config(
        connect_timeout=CONNECT_TIMEOUT_S,
        read_timeout=read_timeout_s,
        max_pool_connections=32,
        # botocore would repeat timeouts too, and pass the 5 s; `_retry_once` does not.
        retries={"mode": "standard", "total_max_attempts": 1},
        # The default for presigned URLs is version 2, which newer stores refuse.
        signature_version="s3v4",
        # The store checks what it got against the signed SHA-256, also over TLS.
        s3={"payload_signing_enabled": True},
        # Older stores do not know the CRC headers that boto3 1.36 began to send.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    client = boto3.session.Session().client(
        "s3",
        region_name=region,
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
        endpoint_url=endpoint_url,
        config=config,
    )
    client.meta.events.register("needs-retry.s3", _retry_once)
    return client


def _retry_once(attempts: int, response: Any, caught_exception: Exception | None, **_: Any) -> float | None:
    """botocore's hook: seconds to wait before another try, or None to give up.

    Only failures that came quickly are tried again: a connection that the store had closed while
    it was idle, and a passing server error.
    """
    if attempts > 1:
        return None
    if isinstance(caught_exception, ConnectionClosedError):
        # A body that could not be sent for `CONNECT_TIMEOUT_S` looks like a closed connection too.
        causes = getattr(caught_exception.kwargs["error"], "args", ())
        return None if any(isinstance(cause, TimeoutError) for cause in causes) else 0.05
    if response is not None and response[0].status_code in _PASSING:
        return 0.2
    return None
