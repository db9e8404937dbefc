"""Signed URLs: who has the secret says which pictures may be seen, and until when.

The signature is HMAC-SHA256 (RFC 2104, FIPS 180-4) over the decoded path and the query as it is
written, its parameters sorted, so that their order does not matter. nginx/lua/signature.lua checks
the same without knowing what the parameters mean; docs/signing.md has recipes.
"""

import base64
import hashlib
import hmac
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import unquote_to_bytes

from imagestore.domainrules import DomainRules
from imagestore.errors import SignatureExpired, SignatureInvalid

Mode = Literal["off", "report", "enforce"]

PARAMETERS = ("expires", "kid", "sig")
"""Of a signed URL, besides those of the picture. All but `sig` are signed too."""

SIGNATURE_CHARACTERS = 32
"""Of base64url, 6 bits each: the first 192 bits of the HMAC. RFC 2104 §5 asks for 128 at least; at 192
no bits of the last character are left over, so that one signature has one spelling."""

MIN_SECRET_CHARACTERS = 32

_KEY_ID = re.compile(r"[A-Za-z0-9_-]{1,32}", re.ASCII)
_SECRET = re.compile(rf"[!-+\--~]{{{MIN_SECRET_CHARACTERS},256}}", re.ASCII)
_EXPIRES = re.compile(r"[1-9][0-9]{0,11}", re.ASCII)


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A secret with the id by which URLs name it.

    Raises:
        ValueError: the id is not 1 to 32 of `A-Z a-z 0-9 _ -`, or the secret is not 32 to 256 printable
            ASCII characters without blanks and commas.
    """

    id: str
    secret: str = field(repr=False)

    def __post_init__(self) -> None:
        if not _KEY_ID.fullmatch(self.id):
            # Not shown: whoever forgets the id has written the secret in its place.
            raise ValueError("the id of a key is not 1 to 32 of A-Z a-z 0-9 _ -")
        if not _SECRET.fullmatch(self.secret):
            raise ValueError(
                f"the secret of key {self.id!r} is not {MIN_SECRET_CHARACTERS} to 256 printable ASCII"
                " characters without blanks and commas"
            )


@dataclass(frozen=True, slots=True)
class Signing:
    """Which keys count, and which domains demand a signature."""

    keys: tuple[SigningKey, ...] = ()
    """The first one signs; all are accepted."""
    modes: DomainRules[Mode] = field(default_factory=lambda: DomainRules("off", {}))

    @property
    def strictest(self) -> Mode:
        """The strictest mode of any domain."""
        return max(self.modes.all, key=_MODES.index)

    @classmethod
    def parse(cls, modes: str, keys: str) -> "Signing":
        """From the settings `SIGNING` and `SIGNING_KEYS`.

        Raises:
            ValueError: with one line that says what is wrong; never with a secret.
        """
        found = tuple(
            SigningKey(*entry.partition("=")[::2]) for entry in filter(None, re.split(r"[\s,]+", keys))
        )
        if len({key.id for key in found}) != len(found):
            raise ValueError("two keys have one id")
        rules = DomainRules[Mode].parse(modes, _mode, "off")
        if not found and any(mode != "off" for mode in rules.all):
            raise ValueError("signatures are to be checked, but there is no key")
        return cls(found, rules)


def sign(url: str, key: SigningKey, *, expires: int | None = None) -> str:
    """`url` with the parameters of a signature.

    Args:
        url: absolute, or from the path on; percent-encoded, as it will be asked for. A `/v1` before the
            path is not signed, since both spellings are one route.
        expires: second since 1970 (UTC) from which on the URL is refused; None is never.

    Raises:
        ValueError: `url` has parameters of a signature already, a fragment, or a character that must
            be percent-encoded; or `expires` is not 1 to 999,999,999,999.
    """
    if not url.isascii() or not url.isprintable() or " " in url or "#" in url:
        raise ValueError("the URL has a fragment or is not percent-encoded")
    if expires is not None and not _EXPIRES.fullmatch(str(expires)):
        raise ValueError(f"expires is {expires!r}, expected seconds since 1970, from 1 to 999999999999")
    head, question, query = url.partition("?")
    if any(_name(element) in PARAMETERS for element in query.split("&")):
        raise ValueError(f"the URL has one of the parameters {', '.join(PARAMETERS)} already")
    path = re.sub(r"^[a-z]+://[^/]*", "", head, count=1, flags=re.IGNORECASE) or "/"
    elements = [query] if question else []
    if expires is not None:
        elements.append(f"expires={expires}")
    elements.append(f"kid={key.id}")
    query = "&".join(elements)
    return f"{head}?{query}&sig={_signature(unquote_to_bytes(path), query, key)}"


def verify(path: bytes, query: str, keys: tuple[SigningKey, ...], *, now: float | None = None) -> int | None:
    """Check the signature of a request; gives the second in which it expires, or None.

    Args:
        path: percent-decoded once.
        query: raw, without `?`; Latin-1, as WSGI has it.
        now: seconds since 1970.

    Raises:
        SignatureInvalid: it is missing, repeated, not of this URL, or not by one of the keys.
        SignatureExpired: it was valid.
    """
    given: dict[str, str] = {}
    rest = []
    for element in query.split("&"):
        name, _, value = element.partition("=")
        if name in PARAMETERS and name in given:
            raise SignatureInvalid(f"parameter {name!r} is given more than once")
        if name in PARAMETERS:
            given[name] = value
        if name != "sig":
            rest.append(element)
    if "sig" not in given:
        raise SignatureInvalid("this needs a signed URL; see docs/signing.md")
    key = next((key for key in keys if key.id == given.get("kid")), None)
    expected = _signature(path, "&".join(rest), key) if key else ""
    if not key or not hmac.compare_digest(expected.encode(), given["sig"].encode()):
        raise SignatureInvalid("the signature is not of this URL by one of the keys")
    if "expires" not in given:
        return None
    if not _EXPIRES.fullmatch(given["expires"]):
        raise SignatureInvalid("expires is not a number of seconds since 1970")
    expires = int(given["expires"])
    if expires <= (time.time() if now is None else now):
        raise SignatureExpired("the URL was valid until the time in its parameter expires")
    return expires


def without_signature(parameters: Mapping[str, str]) -> dict[str, str]:
    """Query parameters without those of a signature."""
    return {name: value for name, value in parameters.items() if name not in PARAMETERS}


def _signature(path: bytes, query: str, key: SigningKey) -> str:
    if path.startswith(b"/v1/"):
        path = path[len(b"/v1") :]
    text = path + b"\n" + "&".join(sorted(query.split("&"))).encode("latin-1")
    digest = hmac.digest(key.secret.encode(), text, hashlib.sha256)
    return base64.urlsafe_b64encode(digest)[:SIGNATURE_CHARACTERS].decode()


def _name(element: str) -> str:
    return element.partition("=")[0]


def _mode(text: str) -> Mode:
    for mode in _MODES:
        if text == mode:
            return mode
    raise ValueError(f"mode is {text[:40]!r}, expected off, report or enforce")


_MODES: tuple[Mode, ...] = ("off", "report", "enforce")
