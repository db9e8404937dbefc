"""Delivers signed callbacks: the Standard Webhooks specification, version 1.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import base64
import binascii
import hashlib
import hmac
import http
import ssl
import time
from collections.abc import Mapping, Sequence

from imagestore.dialing import Connect, Deadline, Dialer, Resolve
from imagestore.guard import PORTS, Guard
from imagestore.outbound import Outbound, http_failure
from imagestore.weburl import WebURL

PREFIX = "whsec_"
TOLERANCE_S = 300
"""How far a receiver's clock may be off, and how old a copy of a callback it takes."""


class CallbackSender:
    """Delivery attempts, one at a time; who tries again, and when, is the caller's business."""

    def __init__(
        self,
        *,
        allow: Sequence[str] = (),
        ports: Sequence[int] = PORTS,
        user_agent: str,
        connect_timeout_s: float = 5,
        total_timeout_s: float = 10,
        tls: ssl.SSLContext | None = None,
        resolve: Resolve | None = None,
        connect: Connect | None = None,
    ) -> None:
        """The arguments are those of `Fetcher`; so is what may be reached.

        Raises:
            InvalidAllow: an entry of `allow` is neither a network nor a service.
        """
        self._total_timeout_s = total_timeout_s
        dialer = Dialer(
            Guard.build(allow, ports),
            connect_timeout_s=connect_timeout_s,
            tls=tls,
            resolve=resolve,
            connect=connect,
        )
        self._outbound = Outbound(dialer, user_agent=user_agent)

    def deliver(self, url: str, event_id: str, body: bytes, secret: str) -> None:
        """Send `body` (JSON) to `url` once; a 2xx is all that counts as received.

        A redirect is a failure: the receiver has to name its real address. The answer's body is
        not read.

        Args:
            url: http or https.
            event_id: the same for every attempt, so that the receiver can tell copies; no dots,
                since the signature is over the three parts joined by dots.
            body: JSON in UTF-8.
            secret: as `signing_key` takes it.

        Raises:
            InvalidURL: `url` is outside the grammar.
            FetchTargetForbidden: it leads where this server may not go.
            FetchFailed: not received. Any status but 410 may pass, since a receiver's 404 can be
                one that is being installed.
        """
        headers = {"Content-Type": "application/json", **sign(secret, event_id, int(time.time()), body)}
        deadline = Deadline(self._total_timeout_s)
        with self._outbound.exchange("POST", WebURL.parse(url), headers, deadline, body) as answer:
            if not 200 <= answer.status <= 299:
                passing = answer.status != http.HTTPStatus.GONE
                raise http_failure(answer, who="receiver", passing=passing)


def sign(secret: str, event_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The three headers that let a receiver know who sent `body`, and when.

    Args:
        secret: as `signing_key` takes it.
        event_id: the event's, without dots.
        timestamp: seconds since 1970 UTC.
        body: as it is sent, byte for byte.

    Raises:
        ValueError: `secret` is not a secret, or `event_id` has a dot or is not printable ASCII.
    """
    if "." in event_id or not (event_id.isascii() and event_id.isprintable() and event_id):
        raise ValueError(f"event_id is {event_id!r}, expected printable ASCII without a dot")
    return {
        "webhook-id": event_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": "v1," + _digest(signing_key(secret), event_id, str(timestamp), body),
    }


def verify(
    secret: str,
    headers: Mapping[str, str],
    body: bytes,
    *,
    now: float | None = None,
    tolerance_s: float = TOLERANCE_S,
) -> bool:
    """Whether `body` came with these headers from somebody who knows `secret`, a short time ago.

    Args:
        secret: as `signing_key` takes it.
        headers: by lower-case name, or any mapping that does not regard case.
        body: as it was received, byte for byte.
        now: seconds since 1970 UTC; the clock by default.
        tolerance_s: how far the timestamp may be from `now`.
    """
    event_id, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not (timestamp.isascii() and timestamp.isdecimal() and len(timestamp) <= 12):
        return False
    if abs((time.time() if now is None else now) - int(timestamp)) > tolerance_s:
        return False
    expected = "v1," + _digest(signing_key(secret), event_id, timestamp, body)
    # While a secret is being replaced there is one signature for each.
    given = headers.get("webhook-signature", "").split(" ")
    return any(hmac.compare_digest(one.encode(), expected.encode()) for one in given)


def signing_key(secret: str) -> bytes:
    """The key in a secret as receivers get it: `whsec_` and 24 to 64 bytes in base64.

    Raises:
        ValueError: anything else; the message does not hold the secret.
    """
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not secret.startswith(PREFIX) or not 24 <= len(key) <= 64:
        raise ValueError(f"the callback secret is not {PREFIX} with 24 to 64 bytes in base64")
    return key


def _digest(key: bytes, event_id: str, timestamp: str, body: bytes) -> str:
    signed = b".".join((event_id.encode(), timestamp.encode(), body))
    return base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode("ascii")
