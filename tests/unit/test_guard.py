"""The table of addresses, and the grammar of URLs, without any connection."""

import ipaddress
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagestore.errors import FetchFailed, FetchTargetForbidden, InvalidURL
from imagestore.guard import Address, Guard, InvalidAllow, forbidden
from imagestore.weburl import WebURL, check_url
from tests.hostile import FORBIDDEN_ADDRESSES, inside_v6

PUBLIC = [
    "1.1.1.1",
    "9.255.255.255",
    "11.0.0.0",
    "93.184.215.14",
    "100.63.255.255",
    "100.128.0.0",
    "126.255.255.255",
    "128.0.0.0",
    "169.253.255.255",
    "169.255.0.0",
    "172.15.255.255",
    "172.32.0.0",
    "192.0.1.0",
    "192.0.3.0",
    "192.167.255.255",
    "192.169.0.0",
    "198.17.255.255",
    "198.20.0.0",
    "223.255.255.255",
    "2606:2800:21f:cb07:6820:80da:af6b:8b2c",
    "2a00:1450:4001:800::200e",
    "::ffff:93.184.215.14",
    "64:ff9b::93.184.215.14",
]
"""Addresses of sites, and the neighbours of every forbidden IPv4 network."""


@pytest.mark.parametrize("address", FORBIDDEN_ADDRESSES)
def test_forbidden_address_is_forbidden_inside_every_ipv6_form(address: str) -> None:
    parsed = ipaddress.ip_address(address)

    assert forbidden(parsed)
    if isinstance(parsed, ipaddress.IPv4Address):
        for form, carrier in inside_v6(parsed).items():
            assert forbidden(carrier), form


@pytest.mark.parametrize("address", PUBLIC)
def test_public_address_is_allowed(address: str) -> None:
    assert not forbidden(ipaddress.ip_address(address))


@given(st.ip_addresses(v=4) | st.ip_addresses(v=6))
def test_what_the_standard_library_calls_special_is_forbidden(address: Address) -> None:
    carries_v4 = ipaddress.IPv6Network("64:ff9b::/96"), ipaddress.IPv6Network("::ffff:0:0/96")

    if not address.is_global and not any(address in network for network in carries_v4):
        assert forbidden(address)


@given(st.ip_addresses(v=4))
def test_mapped_address_is_judged_as_the_one_inside(address: ipaddress.IPv4Address) -> None:
    forms = inside_v6(address)

    assert forbidden(forms["mapped"]) == forbidden(forms["NAT64"]) == forbidden(address)


def allows(guard: Guard, url: str, address: str) -> bool:
    parsed = WebURL.parse(url)
    return guard.port_allowed(parsed) and guard.allows(parsed, ipaddress.ip_address(address))


@pytest.mark.parametrize(
    ("entry", "url", "address", "expected"),
    [
        ("10.1.0.0/16", "http://a.test/", "10.1.255.255", True),
        ("10.1.0.0/16", "http://a.test/", "10.2.0.0", False),
        ("10.1.0.0/16", "http://a.test:8080/", "10.1.0.1", False),
        ("10.1.0.7", "http://a.test/", "10.1.0.7", True),
        ("10.1.0.7", "http://a.test/", "10.1.0.8", False),
        ("10.1.0.0/16", "http://[::ffff:10.1.0.1]/", "::ffff:10.1.0.1", False),
        ("fd00:1::/64", "http://a.test/", "fd00:1::5", True),
        ("fd00:1::/64", "http://a.test/", "fd00:2::5", False),
        ("127.0.0.1:9000", "http://127.0.0.1:9000/", "127.0.0.1", True),
        ("127.0.0.1:9000", "http://a.test:9000/", "127.0.0.1", True),
        ("127.0.0.1:9000", "http://127.0.0.1:9001/", "127.0.0.1", False),
        ("127.0.0.1:9000", "http://127.0.0.1/", "127.0.0.1", False),
        ("127.0.0.1:9000", "http://127.0.0.2:9000/", "127.0.0.2", False),
        ("127.0.0.1:9000", "http://a.test:9000/", "93.184.215.14", False),
        ("[::1]:9000", "http://[::1]:9000/", "::1", True),
        ("[::1]:9000", "http://127.0.0.1:9000/", "127.0.0.1", False),
        ("minio:9000", "http://minio:9000/", "172.18.0.5", True),
        ("MINIO:9000", "http://Minio.:9000/", "172.18.0.5", True),
        ("minio:9000", "http://minio/", "172.18.0.5", False),
        ("minio:9000", "http://a.test:9000/", "172.18.0.5", False),
    ],
)
def test_entry_opens_exactly_what_it_says(entry: str, url: str, address: str, expected: bool) -> None:
    assert allows(Guard.build([entry]), url, address) is expected
    assert not allows(Guard.build(), url, address)


def test_port_setting_opens_public_addresses_alone() -> None:
    guard = Guard.build(ports=(80, 443, 8080))

    assert allows(guard, "http://a.test:8080/", "93.184.215.14")
    assert not allows(guard, "http://a.test:8080/", "10.0.0.1")
    assert not allows(guard, "http://a.test:8081/", "93.184.215.14")


@pytest.mark.parametrize(
    "entry",
    ["", "*", "minio", "10.0.0.1/8", "10.0.0.0/33", "a:b", "h:0", "h:65536", "h:８０", "*:80", "::1]:80"],
)
def test_entry_that_is_neither_network_nor_service_is_refused(entry: str) -> None:
    with pytest.raises(InvalidAllow, match="neither"):
        Guard.build([entry])


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://example.com", "http://example.com/"),
        ("HTTPS://EXAMPLE.com.:443/A?b=C#d", "https://example.com/A?b=C"),
        ("http://example.com:8080?x", "http://example.com:8080/?x"),
        ("http://example.com:/", "http://example.com/"),
        ("https://bücher.example/é b.jpg?q=ü", "https://xn--bcher-kva.example/%C3%A9%20b.jpg?q=%C3%BC"),
        ("http://straße.example/", "http://xn--strae-oqa.example/"),
        ("http://my_bucket.example/a%2Fb/%zz/../c", "http://my_bucket.example/a%2Fb/%zz/../c"),
        ("http://example.com/?a[]=1&b={2}|'3'", "http://example.com/?a[]=1&b={2}|'3'"),
        ("http://[::1]:8080/", "http://[::1]:8080/"),
        ("http://[0:0::FFFF:127.0.0.1]/", "http://[::ffff:127.0.0.1]/"),
        ("http://①②⑦.⓪.⓪.①/", "http://127.0.0.1/"),
        ("http://127。0。0。1/", "http://127.0.0.1/"),
        ("http://example.com/" + "a" * 2029, "http://example.com/" + "a" * 2029),
    ],
)
def test_url_is_taken_in_its_ascii_form(url: str, expected: str) -> None:
    assert check_url(url) == expected
    assert check_url(expected) == expected


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.com/a.jpg",
        "//example.com/",
        "ftp://example.com/",
        "file:///etc/passwd",
        "gopher://example.com/",
        "data:image/png;base64,AAAA",
        "http:example.com",
        "http:/example.com",
        "http://",
        "http:///a.jpg",
        "http://:80/",
        "http://?a",
        "http://user@example.com/",
        "http://user:secret@example.com/",
        "http://@example.com/",
        "http://example.com\\@127.0.0.1/",
        "http://127.0.0.1:80\\@example.com/",
        "http://example.com:0/",
        "http://example.com:65536/",
        "http://example.com:８０/",
        "http://example.com:-1/",
        "http://example.com:80:81/",
        "http://[::1/",
        "http://::1/",
        "http://[fe80::1%25eth0]/",
        "http://[v1.x]/",
        "http://[127.0.0.1]/",
        "http://%31%32%37.0.0.1/",
        "http://exam ple.com/",
        "http://a..b/",
        "http://.a/",
        "http://-a/",
        "http://a,b/",
        "http://a／b/",
        "http://" + "a" * 64 + ".com/",
        "http://" + "a.com" * 60 + "/",
        " http://example.com/",
        "http://example.com/ ",
        "http://example.com/\r\nX: y",
        "http://exa\tmple.com/",
        "http://example.com/\x00",
        "http://example.com/\x7f",
        "http://example.com/\x85",
        "http://example.com/\ud800",
        "http://example.com/" + "a" * 2030,
        "http://example.com/#" + "a" * 2048,
        "http://example.com/" + "é" * 400,
    ],
)
def test_url_outside_the_grammar_is_refused(url: str) -> None:
    with pytest.raises(InvalidURL):
        check_url(url)


@given(st.text(max_size=60), st.text(max_size=60))
def test_any_text_is_a_url_or_refused(host: str, path: str) -> None:
    try:
        url = check_url(f"http://{host}/{path}")
    except InvalidURL:
        return

    assert url.isascii()
    assert url.isprintable()
    assert check_url(url) == url


def test_errors_keep_all_they_say_between_processes() -> None:
    failure = pickle.loads(pickle.dumps(FetchFailed("http-429", "too many", passing=True, retry_after_s=7)))
    refused = pickle.loads(pickle.dumps(FetchTargetForbidden()))

    assert (failure.reason, failure.detail, failure.passing, failure.retry_after_s) == (
        "http-429",
        "too many",
        True,
        7,
    )
    assert refused.detail == FetchTargetForbidden().detail
