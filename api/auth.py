"""Who may write: API keys as Bearer tokens (RFC 6750 §2.1)."""

import hashlib
import hmac
from collections.abc import Sequence

from imagestore.errors import Forbidden, Unauthenticated
from imagestore.settings import ApiKey


class Keys:
    """The keys that this server knows."""

    def __init__(self, keys: Sequence[ApiKey]) -> None:
        self._keys = [(hashlib.sha256(key.secret.encode()).digest(), key) for key in keys]

    def authenticate(self, authorization: str | None) -> ApiKey:
        """The key that an Authorization header carries.

        Raises:
            Unauthenticated: there is none, or it is none of ours.
        """
        scheme, _, secret = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not secret.strip():
            raise Unauthenticated("this needs an API key, sent as 'Authorization: Bearer <key>'")
        # Digests have one length, so that the comparison tells nothing about the key's.
        digest = hashlib.sha256(secret.strip().encode("utf-8", "surrogateescape")).digest()
        matching = [key for known, key in self._keys if hmac.compare_digest(known, digest)]
        if not matching:
            raise Unauthenticated("the API key is not known here")
        return matching[0]


def authorize(key: ApiKey, domain: str) -> None:
    """Check that the key may write in the domain.

    Raises:
        Forbidden: it may not.
    """
    if key.domains and domain not in key.domains:
        raise Forbidden(f"this API key may not write in domain {domain!r}")
