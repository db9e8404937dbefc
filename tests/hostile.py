"""Addresses that nobody outside may send the server to, and the many ways to write one of them."""

import ipaddress

FORBIDDEN_ADDRESSES = [
    *("0.0.0.0", "0.1.2.3"),  # unspecified, "this network"
    *("127.0.0.1", "127.255.255.254", "::1", "::"),  # loopback
    *("10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1"),  # private
    *("fc00::1", "fd00:ec2::254", "fec0::1"),  # unique local, a cloud's metadata, site-local
    *("169.254.169.254", "169.254.170.2", "fe80::1", "febf::1"),  # link-local, metadata services
    *("100.64.0.1", "100.100.100.200", "100.127.255.255"),  # CGNAT, a cloud's metadata
    *("168.63.129.16", "192.0.0.192"),  # two clouds' own services
    *("192.0.0.8", "192.88.99.1"),  # protocol assignments
    *("224.0.0.1", "239.255.255.250", "ff02::1", "ff0e::1"),  # multicast
    *("240.0.0.1", "255.255.255.255"),  # reserved, broadcast
    *("192.0.2.1", "198.51.100.1", "203.0.113.1", "2001:db8::1", "3fff::1"),  # documentation
    *("198.18.0.1", "198.19.255.255", "2001:2::1"),  # benchmarks
    *("100::1", "2001:10::1", "2001:20::1", "5f00::1", "4000::1"),  # discard, ORCHID, SRv6, unassigned
]

LOOPBACK_HOSTS = [
    *("127.0.0.1", "127.1", "127.0.1", "127.255.255.254", "0", "0.0.0.0"),
    *("2130706433", "0x7f000001", "0x7F.1", "0x7f.0.0.1", "017700000001", "0177.0.0.1", "00000177.0.0.1"),
    *(
        "①②⑦.⓪.⓪.①",
        "１２７.０.０.１",
        "127。0。0。1",
        "127．0．0．1",
        "127｡0｡0｡1",
        "①②⑦｡1",
        "２１３０７０６４３３",
    ),
    *("localhost", "LocalHost", "localhost.", "ｌｏｃａｌｈｏｓｔ", "127.0.0.1."),
    *("[::1]", "[0:0:0:0:0:0:0:1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::ffff:0.0.0.0]"),
]
"""Hosts of URLs that the system's resolver takes for this machine (hazards: M19)."""


def inside_v6(address: ipaddress.IPv4Address) -> dict[str, ipaddress.IPv6Address]:
    """The IPv6 addresses that carry an IPv4 address, by the name of the scheme."""
    number = int(address)

    def at(prefix: str, shift: int = 0, value: int = number) -> ipaddress.IPv6Address:
        return ipaddress.IPv6Address(int(ipaddress.IPv6Address(prefix)) | value << shift)

    # RFC 6052 §2.2: behind a prefix of 48 bits, the octet at bit 64 is left out.
    split = (number >> 16) << 64 | (number & 0xFFFF) << 40
    return {
        "mapped": at("::ffff:0:0"),  # RFC 4291 §2.5.5.2
        "compatible": at("::"),  # RFC 4291 §2.5.5.1
        "translated": at("::ffff:0:0:0"),  # RFC 2765 §2.1
        "6to4": at("2002::", 80),  # RFC 3056 §2
        "NAT64": at("64:ff9b::"),  # RFC 6052 §2.1
        "local NAT64 /48": at("64:ff9b:1::", value=split),  # RFC 8215
        "local NAT64 /96": at("64:ff9b:1::"),
        "Teredo client": at("2001:0:102:304::", value=number ^ 0xFFFF_FFFF),  # RFC 4380 §4
        "Teredo server": at("2001::", 64),
        "ISATAP": at("2606:2800::5efe:0:0"),  # RFC 5214 §6.1
        "ISATAP, universal": at("2606:2800::200:5efe:0:0"),
        "ISATAP, link-local": at("fe80::5efe:0:0"),
    }
