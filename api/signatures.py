"""Who may see a picture of a domain that demands signed URLs. nginx/lua/signature.lua does the same
for what it answers itself."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import falcon

from api.auth import bearer
from imagestore.errors import Forbidden, ImageNotFound, SignatureExpired, SignatureInvalid, Unauthenticated
from imagestore.metrics import count_unsigned
from imagestore.service import ImageStore
from imagestore.signing import verify

log = logging.getLogger(__name__)


A_YEAR_S = 31_536_000
"""As good as for ever, for caches (RFC 9111 §1.2.2 lets them take larger numbers for smaller)."""


@dataclass(frozen=True, slots=True)
class Admission:
    """How a request was let in, for what caches on its way may do with the answer."""

    by_key: bool = False
    expires: int | None = None
    """Second since 1970 in which the signed URL ends."""

    def cache_control(self, max_age_s: int | None) -> str:
        """Cache-Control of a picture that a replace may change; of one that cannot change for None.

        What a key opened is for the holder of the key (RFC 9111 §3.5), and no cache may answer a
        signed URL for longer than we would.
        """
        scope = "private" if self.by_key else "public"
        # RFC 8246 for the word immutable.
        seconds, after = (A_YEAR_S, "immutable") if max_age_s is None else (max_age_s, "must-revalidate")
        if self.expires is not None:
            seconds = min(seconds, max(0, self.expires - int(time.time())))
        return f"{scope}, max-age={seconds}, {after}"


OPEN = Admission()


def admit(store: ImageStore, req: falcon.Request, domain: str | None, *, always: bool = False) -> Admission:
    """Let a request see pictures of `domain`, or of every domain for None.

    A key that may read there needs no signature. `always` demands one whatever the domain's mode is.

    Raises:
        SignatureInvalid, SignatureExpired: the domain demands a signature.
        DatabaseUnavailable: there is a key, and nobody can tell now what it may do.
    """
    signing = store.settings.signing
    mode = signing.strictest if domain is None else signing.modes.of(domain)
    if always:
        mode = "enforce"
    if mode == "off":
        return OPEN
    try:
        expires = verify(req.env["PATH_INFO"].encode("latin-1"), req.query_string, signing.keys)
    except (SignatureInvalid, SignatureExpired) as error:
        if _has_key(store, req, domain):
            return Admission(by_key=True)
        count_unsigned(mode=mode, problem=error.name)
        if mode == "enforce":
            raise
        log.warning("would refuse problem=%s domain=%s", error.name, domain)
        return OPEN
    return Admission(expires=expires) if mode == "enforce" else OPEN


@contextmanager
def as_if_there(store: ImageStore, req: falcon.Request) -> Iterator[None]:
    """Around the look for an image whose domain is not known before: who may not see every image is
    refused where there is none, as he is where one is, if any domain demands signed URLs. So nobody
    without a signature learns which ids and sums there are.

    Raises:
        ImageNotFound: the request would be let in everywhere.
        SignatureInvalid, SignatureExpired, DatabaseUnavailable: as `admit`.
    """
    try:
        yield
    except ImageNotFound:
        if store.settings.signing.strictest == "enforce":
            admit(store, req, None)
        raise


def _has_key(store: ImageStore, req: falcon.Request, domain: str | None) -> bool:
    try:
        grant = store.keyring.grant_of(bearer(req))
        grant.require("read")
        if domain is None:
            grant.require_everywhere()
        else:
            grant.require_domain(domain)
    except (Unauthenticated, Forbidden):
        return False
    return True
