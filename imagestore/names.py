"""The grammar of names: domains, dkeys and content sums (the problem table's `invalid-key`)."""

import re
import unicodedata
from collections.abc import Mapping
from typing import Any

from imagestore.errors import InvalidKey, InvalidParameter

RESERVED_DOMAINS = frozenset(
    {"audit", "console", "docs", "domains", "favicon.ico", "health", "iiif", "image", "images", "keys"}
    | {"metrics", "openapi.json", "overview", "problems", "robots.txt", "rq", "signed-urls", "static"}
    | {"tasks", "upload-tokens", "v1"}
)
"""First path segments with a meaning of their own; a domain of that name could not be read."""

WATERMARK_DOMAIN = "watermark"
"""Pictures of this domain are the marks that `watermark=<dkey>` lays over others."""

DEFAULT_DOMAIN = "default"
"""Of an image that came without one."""

MAX_DKEY_CHARACTERS = 255

_DOMAIN = re.compile(r"[a-z0-9][a-z0-9._-]{0,15}", re.ASCII)
_SUM = re.compile(r"[0-9a-f]{32}|[0-9a-f]{64}", re.ASCII)
_ID = re.compile(r"[1-9][0-9]{0,17}", re.ASCII)

# The same grammars as JSON Schema, for the OpenAPI document.
DOMAIN_SCHEMA: Mapping[str, Any] = {"type": "string", "pattern": f"^{_DOMAIN.pattern}$"}
SUM_SCHEMA: Mapping[str, Any] = {"type": "string", "pattern": f"^({_SUM.pattern})$"}
ID_SCHEMA: Mapping[str, Any] = {"type": "integer", "minimum": 1, "maximum": 10**18 - 1}
DKEY_SCHEMA: Mapping[str, Any] = {
    "type": "string",
    "minLength": 1,
    "maxLength": MAX_DKEY_CHARACTERS,
    "pattern": r"^[^\u0000-\u001f\u007f-\u009f\\\ufffd]+$",
    "not": {"pattern": r"(^|/)\.{1,2}(/|$)"},
}


def check_domain(domain: str) -> str:
    """`domain` itself, 1 to 16 characters of `[a-z0-9._-]` that start with a letter or a digit.

    Raises:
        InvalidKey: it is outside that grammar, or reserved.
    """
    if not _DOMAIN.fullmatch(domain):
        raise InvalidKey(f"domain is {domain[:40]!r}, expected 1 to 16 of a-z 0-9 . _ -")
    if domain in RESERVED_DOMAINS:
        raise InvalidKey(f"domain {domain!r} is reserved for a route")
    return domain


def check_dkey(dkey: str) -> str:
    """`dkey` itself: 1 to 255 Unicode characters, compared byte for byte; `/` is allowed.

    Raises:
        InvalidKey: empty, too long, with a control character, a backslash or U+FFFD, or with a
            segment that is `.` or `..`.
    """
    if not 1 <= len(dkey) <= MAX_DKEY_CHARACTERS:
        raise InvalidKey(f"dkey has {len(dkey)} characters, expected 1 to {MAX_DKEY_CHARACTERS}")
    # Cc: controls, NUL among them; Cs: lone surrogates. U+FFFD is what decoders leave of bytes
    # that were not UTF-8, so that two names would become one.
    if any(c in "\\\ufffd" or unicodedata.category(c) in ("Cc", "Cs") for c in dkey):
        raise InvalidKey("dkey holds a control character, a backslash or bytes that are not UTF-8")
    if any(segment in (".", "..") for segment in dkey.split("/")):
        raise InvalidKey("dkey has a segment '.' or '..'")
    return dkey


def check_prefix(prefix: str) -> str:
    """`prefix` itself, with which a dkey may begin; unlike a dkey it may end in a segment `.` or `..`.

    Raises:
        InvalidKey: no dkey begins like that.
    """
    check_dkey(prefix + "_" if prefix.endswith(".") else prefix)
    return prefix


def check_sum(digest: str) -> str:
    """`digest` itself: 32 (md5) or 64 (sha256) lower-case hex digits.

    Raises:
        InvalidParameter: it is neither.
    """
    if not _SUM.fullmatch(digest):
        raise InvalidParameter("sum", f"sum is {digest[:80]!r}, expected 32 or 64 lower-case hex digits")
    return digest


def check_id(text: str, parameter: str = "id") -> int:
    """The decimal number of an image, a task, a key or an entry, 1 or more, at most 18 digits.

    `parameter` is the name under which the client gave it.

    Raises:
        InvalidParameter: anything else, also `+5`, `1_0`, `01`, ` 7` and digits outside ASCII.
    """
    if not _ID.fullmatch(text):
        raise InvalidParameter(parameter, f"{parameter} is {text[:40]!r}, expected a decimal number from 1")
    return int(text)
