"""The grammar of the URLs that strangers name: where to fetch from, and where to call back.

One parse serves the check at submission and the connection later, so that the two cannot
disagree about which host a URL means.
"""

import ipaddress
import re
import socket
from dataclasses import dataclass
from urllib.parse import quote, urljoin

import idna

from imagestore.errors import InvalidURL

MAX_CHARACTERS = 2048
"""Of a URL as it was given, and of its ASCII form (promises, row invalid-url)."""

DEFAULT_PORTS = {"http": 80, "https": 443}

_PARTS = re.compile(r"(?i:(https?))://([^/?#]*)([^?#]*)(?:\?([^#]*))?(?:#.*)?")
"""RFC 3986 appendix B, for a URL with an authority."""
_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_AUTHORITY = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]@]+)(?::([0-9]{0,5}))?")
_LABELS = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)(?:\.(?!-)[a-z0-9_-]{1,63}(?<!-))*")
"""Host names as they are used: RFC 1123 §2.1, and the underscore, which resolvers accept."""
_NO_TEXT = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
"""Control characters, and halves of surrogate pairs, which UTF-8 cannot carry."""

# What browsers leave as it is (WHATWG URL, path and query percent-encode sets), and the percent
# sign of what is escaped already: a signature may be over the URL as it was given.
_PATH_SAFE = "/%:@!$&'()*+,;=-._~[]|"
_QUERY_SAFE = _PATH_SAFE + "?^`{}\\"


@dataclass(frozen=True, slots=True)
class WebURL:
    """An absolute http or https URL, taken apart.

    `host` is a lower-case name in ASCII without its last dot, or an address without brackets;
    `port` is 1 to 65535; `path` begins with a slash and includes the query.
    """

    scheme: str
    host: str
    port: int
    path: str

    @classmethod
    def parse(cls, text: str) -> "WebURL":
        """The parts of `text`.

        Raises:
            InvalidURL: not http or https, user information, no host, a host or a port outside
                their grammar, control characters, or over `MAX_CHARACTERS`.
        """
        if len(text) > MAX_CHARACTERS:
            raise InvalidURL(f"the URL has {len(text)} characters, expected at most {MAX_CHARACTERS}")
        if _NO_TEXT.search(text):
            raise InvalidURL("the URL has a control character, expected none")
        if text != text.strip():
            raise InvalidURL("the URL has spaces around it, expected none")
        parts = _PARTS.fullmatch(text)
        if parts is None:
            raise InvalidURL(
                "the URL is not one of http or https, expected http://host/... or https://host/..."
            )
        scheme, authority, path, query = parts.groups()
        host, port = _split_authority(authority)
        path = quote(path or "/", safe=_PATH_SAFE)
        if query is not None:
            path += "?" + quote(query, safe=_QUERY_SAFE)
        url = cls(scheme.lower(), host, port or DEFAULT_PORTS[scheme.lower()], path)
        if len(str(url)) > MAX_CHARACTERS:
            raise InvalidURL(f"the URL is over {MAX_CHARACTERS} characters when written in ASCII")
        return url

    def join(self, reference: str) -> "WebURL":
        """Where `reference` (of a `Location` header) leads from here.

        Raises:
            InvalidURL: the result is outside the grammar.
        """
        reference = reference.strip(" ")
        # urljoin would complete `http:a` and `http:///a` with this URL's host.
        if _ABSOLUTE.match(reference):
            return WebURL.parse(reference)
        try:
            return WebURL.parse(urljoin(str(self), reference))
        except ValueError as error:
            raise InvalidURL("the URL is not one of http or https, expected http://host/...") from error

    @property
    def authority(self) -> str:
        """The value of the `Host` header: the port only where it is not the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}{self.path}"


def check_url(text: str) -> str:
    """The ASCII form of a URL that may be fetched or called back, as far as its text tells.

    Nothing is resolved: which addresses it leads to is judged when it is connected to.

    Raises:
        InvalidURL: as `WebURL.parse`.
    """
    return str(WebURL.parse(text))


def _split_authority(authority: str) -> tuple[str, int | None]:
    if "@" in authority:
        raise InvalidURL("the URL has user information, expected none")
    parts = _AUTHORITY.fullmatch(authority)
    if parts is None:
        raise InvalidURL("the URL has no host or a malformed one, expected http://host/...")
    host, digits = parts.groups()
    port = int(digits) if digits else None
    if port is not None and not 1 <= port <= 65535:
        raise InvalidURL(f"the URL's port is {port}, expected 1 to 65535")
    return parse_host(host), port


def parse_host(text: str) -> str:
    """A host in the one form that is compared: an address without brackets, or a lower-case name.

    Names outside ASCII are mapped as browsers do (UTS #46), which makes ASCII of full-width digits
    and dots too.

    Raises:
        InvalidURL: neither an address in brackets nor a host name.
    """
    if text.startswith("["):
        try:
            # By the C library: Python 3.13 writes addresses with an IPv4 one inside differently than 3.11.
            return socket.inet_ntop(socket.AF_INET6, ipaddress.IPv6Address(text[1:-1]).packed)
        except ValueError as error:
            raise InvalidURL("the URL's host is not an IPv6 address in brackets") from error
    name = text if text.isascii() else _to_ascii(text)
    name = name.lower().removesuffix(".")
    if len(name) > 253 or not _LABELS.fullmatch(name):
        raise InvalidURL("the URL's host is not a host name, expected letters, digits, '-', '_' and '.'")
    return name


def _to_ascii(name: str) -> str:
    mapped = _mapped(name)
    if mapped.isascii():
        return mapped
    try:
        return idna.encode(mapped).decode("ascii")
    except idna.IDNAError as error:
        raise InvalidURL("the URL's host is not an internationalized name (RFC 5891)") from error


def _mapped(name: str) -> str:
    try:
        return idna.uts46_remap(name, std3_rules=False, transitional=False)
    except idna.IDNAError as error:
        raise InvalidURL("the URL's host has a character that no host name may have (UTS #46)") from error
