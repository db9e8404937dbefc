"""Which addresses and ports this server may connect to when a stranger names the URL.

`ipaddress.is_global` is not enough: Python 3.11 passes NAT64, 6to4, `::a.b.c.d` and multicast
(measured with 3.11.7). So an IPv4 address is judged by the table here, and an IPv6 address has to be
in the part of the space that is given out to sites at all.
"""

import ipaddress
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from imagestore.errors import InvalidURL
from imagestore.weburl import WebURL, parse_host

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

PORTS = (80, 443)
"""Where the web is served; a URL with another port needs a setting or an entry of `FETCH_ALLOW`."""

FORBIDDEN_V4 = tuple(
    ipaddress.IPv4Network(text)
    for text in (
        "0.0.0.0/8",  # this network (RFC 1122 §3.2.1.3); Linux takes 0.0.0.0 for loopback
        "10.0.0.0/8",  # private (RFC 1918)
        "100.64.0.0/10",  # shared by carriers (RFC 6598); clouds keep metadata services here too
        "127.0.0.0/8",  # loopback (RFC 1122 §3.2.1.3)
        "168.63.129.16/32",  # Azure's host services: a public address, served inside each machine
        "169.254.0.0/16",  # link-local (RFC 3927), where most clouds keep their metadata service
        "172.16.0.0/12",  # private (RFC 1918)
        "192.0.0.0/24",  # protocol assignments (RFC 6890)
        "192.0.2.0/24",  # documentation (RFC 5737)
        "192.88.99.0/24",  # 6to4 relays, deprecated (RFC 7526)
        "192.168.0.0/16",  # private (RFC 1918)
        "198.18.0.0/15",  # benchmarks (RFC 2544)
        "198.51.100.0/24",  # documentation (RFC 5737)
        "203.0.113.0/24",  # documentation (RFC 5737)
        "224.0.0.0/4",  # multicast (RFC 5771)
        "240.0.0.0/4",  # reserved (RFC 1112 §4), with the broadcast address
    )
)
"""The IANA IPv4 special-purpose registry, multicast, and one cloud's own."""

GLOBAL_V6 = ipaddress.IPv6Network("2000::/3")
"""All that is given out for global unicast (IANA IPv6 address space). Loopback, `::a.b.c.d`,
unique local, link-local, site-local, multicast, discard and segment routing are outside."""

FORBIDDEN_V6 = tuple(
    ipaddress.IPv6Network(text)
    for text in (
        "2001::/23",  # protocol assignments (RFC 2928): Teredo, benchmarks, ORCHID, DRIP
        "2001:db8::/32",  # documentation (RFC 3849)
        "2002::/16",  # 6to4, which carries an IPv4 address; no longer in use (RFC 7526)
        "3fff::/20",  # documentation (RFC 9637)
    )
)
"""What is special inside `GLOBAL_V6` (IANA IPv6 special-purpose registry)."""

_CARRIES_V4 = tuple(
    ipaddress.IPv6Network(text)
    for text in (
        "::ffff:0:0/96",  # IPv4-mapped (RFC 4291 §2.5.5.2)
        "64:ff9b::/96",  # NAT64 (RFC 6052 §2.1), by which machines without IPv4 reach the old web
    )
)
"""The prefixes whose last 32 bits are the IPv4 address that is really connected to. The other NAT64
prefix, 64:ff9b:1::/48 (RFC 8215), is for a site's own use, and so forbidden as it stands."""

_ISATAP = (0x0000_5EFE, 0x0200_5EFE)
"""Bits 64 to 95 of an address that carries an IPv4 address in its last 32 (RFC 5214 §6.1)."""


def forbidden(address: Address) -> bool:
    """Whether nobody but the operator may send this server to `address`."""
    if isinstance(address, ipaddress.IPv4Address):
        return any(address in network for network in FORBIDDEN_V4)
    inner = ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    if any(address in network for network in _CARRIES_V4):
        return forbidden(inner)
    if address not in GLOBAL_V6 or any(address in network for network in FORBIDDEN_V6):
        return True
    return (int(address) >> 32) & 0xFFFF_FFFF in _ISATAP and forbidden(inner)


class InvalidAllow(ValueError):
    """An entry of `FETCH_ALLOW` is neither a network nor `host:port`."""


@dataclass(frozen=True, slots=True)
class Guard:
    """The rule for all outgoing connections: the table above, and what the operator trusts.

    A network in `networks` opens its addresses on `ports`. An `(address, port)` in `services`
    opens that one port of that one address; a `(name, port)` opens that port at whatever addresses
    the name has, for URLs that spell the name.
    """

    networks: tuple[Network, ...] = ()
    services: frozenset[tuple[str, int]] = frozenset()
    ports: frozenset[int] = frozenset(PORTS)

    @classmethod
    def build(cls, allow: Sequence[str] = (), ports: Collection[int] = PORTS) -> "Guard":
        """The rule that settings describe.

        Args:
            allow: networks (`10.1.0.0/16`, `fd00:1::/64`, a lone address) and services
                (`10.1.2.3:9000`, `[fd00::3]:9000`, `minio:9000`).
            ports: 1 to 65535, open at every address that may be reached.

        Raises:
            InvalidAllow: an entry is neither.
        """
        networks: list[Network] = []
        services: set[tuple[str, int]] = set()
        for entry in allow:
            if (network := _network(entry)) is not None:
                networks.append(network)
            else:
                services.add(_service(entry))
        return cls(tuple(networks), frozenset(services), frozenset(ports))

    def port_allowed(self, url: WebURL) -> bool:
        """Whether any address at all may be connected to on this URL's port.

        Asked before the name is resolved: a port that nothing opens needs no resolution.
        """
        return url.port in self.ports or any(port == url.port for _, port in self.services)

    def allows(self, url: WebURL, address: Address) -> bool:
        """Whether `address`, which `url`'s host has, may be connected to on `url`'s port."""
        if {(url.host, url.port), (str(address), url.port)} & self.services:
            return True
        if url.port not in self.ports:
            return False
        return not forbidden(address) or any(address in network for network in self.networks)


def _network(entry: str) -> Network | None:
    try:
        return ipaddress.ip_network(entry)
    except ValueError:
        return None


def _service(entry: str) -> tuple[str, int]:
    host, colon, digits = entry.rpartition(":")
    fault = f"{entry!r} is neither a network (10.1.0.0/16) nor a service (host:port)"
    if not colon or not re.fullmatch(r"[0-9]{1,5}", digits) or not 1 <= int(digits) <= 65535:
        raise InvalidAllow(fault)
    try:
        return parse_host(host), int(digits)
    except InvalidURL as error:
        raise InvalidAllow(fault) from error
