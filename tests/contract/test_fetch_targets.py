"""Nothing inside is ever connected to: every hostile address, on the wire.

A listener on the forbidden side counts connections, on 127.0.0.1 and ::1 and one port, which is
open. Where an address is not this machine's, the connection would still end at that listener: the
connector here notes it and goes to loopback, so that no test can ever send anything elsewhere.
"""

import ipaddress
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from imagestore.callbacks import CallbackSender
from imagestore.dialing import Resolve
from imagestore.download import Fetcher
from imagestore.errors import FetchFailed, FetchTargetForbidden
from imagestore.guard import Address
from imagestore.spool import Spool
from tests import origin as web
from tests.dnsserver import NameServer, name_server
from tests.hostile import FORBIDDEN_ADDRESSES, LOOPBACK_HOSTS, inside_v6
from tests.origin import Origin, ipv6_on_loopback

PUBLIC = "93.184.215.14"
PUBLIC_V6 = "2606:2800:21f:cb07::1"
HAS_V6 = ipv6_on_loopback()
"""Containers may have none; then what would go to ::1 is counted on 127.0.0.1."""

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@dataclass
class Inside:
    """The forbidden side: two listeners on one port, and what would have been connected to."""

    v4: Origin
    v6: Origin
    outside: Origin
    """An origin that has `PUBLIC` and `PUBLIC_V6` as its addresses."""
    names: NameServer
    wanted: list[str] = field(default_factory=list)

    @property
    def port(self) -> int:
        return self.v4.port

    @property
    def connections(self) -> int:
        return self.v4.connections + self.v6.connections

    def connect(self, address: Address, port: int, timeout_s: float) -> socket.socket:
        self.wanted.append(str(address))
        if str(address) in (PUBLIC, PUBLIC_V6):
            return socket.create_connection(("127.0.0.1", self.outside.port), timeout_s)
        host = "::1" if HAS_V6 and address.version == 6 else "127.0.0.1"
        return socket.create_connection((host, port), timeout_s)

    def fetcher(self, resolve: Resolve | None = None, allow: list[str] | None = None) -> Fetcher:
        return Fetcher(
            allow=allow or [],
            ports=[80, 443, self.port],
            user_agent="t",
            max_bytes=1000,
            resolve=resolve,
            connect=self.connect,
        )


@pytest.fixture
def inside() -> Iterator[Inside]:
    picture = {"/": web.answer(body=b"a secret")}
    with (
        name_server() as names,
        web.origin(picture) as v4,
        web.origin(picture, host="::1", port=v4.port) if HAS_V6 else web.origin(picture) as v6,
        web.origin(picture) as outside,
    ):
        yield Inside(v4, v6, outside, names)


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path)


def assert_forbidden(fetcher: Fetcher, url: str, spool: Spool) -> None:
    """Refused, in words that are the same for every address."""
    with pytest.raises(FetchTargetForbidden) as caught, fetcher.fetch(url, spool):
        pytest.fail(f"{url} was fetched")
    assert caught.value.detail == (
        "the URL leads to an address or a port that this server may not reach"
        " (settings FETCH_ALLOW, FETCH_PORTS)"
    )


def literal(address: Address) -> str:
    return f"[{address}]" if address.version == 6 else str(address)


def every_form() -> list[Address]:
    """Every forbidden address, and each IPv4 one inside every IPv6 form."""
    plain = [ipaddress.ip_address(address) for address in FORBIDDEN_ADDRESSES]
    return plain + [
        form for one in plain if isinstance(one, ipaddress.IPv4Address) for form in inside_v6(one).values()
    ]


def test_listener_would_count_a_connection(inside: Inside, spool: Spool) -> None:
    fetcher = inside.fetcher(allow=["127.0.0.0/8", "::1"])

    for host in ("127.0.0.1", "[::1]"):
        with fetcher.fetch(f"http://{host}:{inside.port}/", spool) as fetched:
            assert fetched.status == 200

    assert inside.connections == 2


@pytest.mark.parametrize("host", LOOPBACK_HOSTS)
def test_loopback_is_refused_however_it_is_written(inside: Inside, spool: Spool, host: str) -> None:
    assert_forbidden(inside.fetcher(), f"http://{host}:{inside.port}/", spool)

    assert (inside.connections, inside.wanted) == (0, [])


def test_forbidden_addresses_are_refused_as_literals(inside: Inside, spool: Spool) -> None:
    for address in every_form():
        assert_forbidden(inside.fetcher(), f"http://{literal(address)}:{inside.port}/", spool)

    assert (inside.connections, inside.wanted) == (0, [])


def test_forbidden_addresses_are_refused_behind_a_name(inside: Inside, spool: Spool) -> None:
    fetcher = inside.fetcher(inside.names.resolve)

    for number, address in enumerate(every_form()):
        inside.names.answers[f"a{number}.test"] = [[str(address)]]
        assert_forbidden(fetcher, f"http://a{number}.test:{inside.port}/", spool)

    assert (inside.connections, inside.wanted) == (0, [])


def test_redirects_to_forbidden_addresses_are_refused(inside: Inside, spool: Spool) -> None:
    inside.names.answers["site.test"] = [[PUBLIC]]

    def resolve(host: str, timeout_s: float) -> list[str]:
        is_name = host.endswith(".test")
        return inside.names.resolve(host, timeout_s) if is_name else [str(ipaddress.ip_address(host))]

    fetcher = inside.fetcher(resolve)
    for address in every_form():
        inside.outside.paths["/a"] = web.redirect(f"http://{literal(address)}:{inside.port}/")
        assert_forbidden(fetcher, "http://site.test/a", spool)

    assert inside.connections == 0
    assert set(inside.wanted) == {PUBLIC}


@pytest.mark.parametrize(
    "location", ["//127.0.0.1:{}/", "http://localhost:{}/", "http://2130706433:{}/", "http://[::1]:{}/"]
)
def test_redirect_inwards_is_refused_after_others(inside: Inside, spool: Spool, location: str) -> None:
    inside.outside.paths["/a"] = web.redirect("/b")
    inside.outside.paths["/b"] = web.redirect("/c", 308)
    inside.outside.paths["/c"] = web.redirect(location.format(inside.port), 307)

    assert_forbidden(inside.fetcher(), f"http://{PUBLIC}/a", spool)

    assert inside.connections == 0
    assert [request.target for request in inside.outside.requests] == ["/a", "/b", "/c"]


@pytest.mark.parametrize(
    "addresses",
    [[PUBLIC, "127.0.0.1"], ["127.0.0.1", PUBLIC], [PUBLIC_V6, "10.0.0.1"], [PUBLIC, "::1"]],
    ids=str,
)
def test_name_with_one_forbidden_address_is_refused(
    inside: Inside, spool: Spool, addresses: list[str]
) -> None:
    inside.names.answers["mixed.test"] = [addresses]

    assert_forbidden(inside.fetcher(inside.names.resolve), f"http://mixed.test:{inside.port}/", spool)

    assert (inside.connections, inside.wanted) == (0, [])


def test_name_that_changes_its_address_is_connected_to_where_it_was_judged(
    inside: Inside, spool: Spool
) -> None:
    inside.names.answers["rebind.test"] = [[PUBLIC], ["127.0.0.1"]]
    url = f"http://rebind.test:{inside.port}/"
    fetcher = inside.fetcher(inside.names.resolve)

    with fetcher.fetch(url, spool) as fetched:
        assert fetched.status == 200

    assert inside.names.questions == ["rebind.test"]
    assert (inside.connections, inside.wanted) == (0, [PUBLIC])
    assert_forbidden(fetcher, url, spool)
    assert (inside.connections, inside.wanted) == (0, [PUBLIC])


def test_name_that_changes_its_address_is_judged_anew_at_each_redirect(inside: Inside, spool: Spool) -> None:
    inside.names.answers["rebind.test"] = [[PUBLIC], ["127.0.0.1"]]
    inside.outside.paths["/a"] = web.redirect("/")

    assert_forbidden(inside.fetcher(inside.names.resolve), f"http://rebind.test:{inside.port}/a", spool)

    assert inside.names.questions == ["rebind.test", "rebind.test"]
    assert (inside.connections, inside.wanted) == (0, [PUBLIC])


def test_broken_connection_is_not_opened_anew(inside: Inside, spool: Spool) -> None:
    inside.names.answers["rebind.test"] = [[PUBLIC], ["127.0.0.1"]]
    inside.outside.paths["/"] = web.raw(b"")

    with (
        pytest.raises(FetchFailed) as caught,
        inside.fetcher(inside.names.resolve).fetch(f"http://rebind.test:{inside.port}/", spool),
    ):
        pytest.fail("it did not fail")

    assert caught.value.reason == "connect"
    assert inside.names.questions == ["rebind.test"]
    assert (inside.connections, inside.wanted) == (0, [PUBLIC])


@pytest.mark.parametrize("port", [1, 22, 25, 6379, 8080, 65535])
def test_other_ports_are_refused_before_the_name_is_resolved(inside: Inside, spool: Spool, port: int) -> None:
    inside.names.answers["site.test"] = [[PUBLIC]]

    assert_forbidden(inside.fetcher(inside.names.resolve), f"http://site.test:{port}/", spool)
    assert_forbidden(inside.fetcher(inside.names.resolve), f"https://site.test:{port}/", spool)

    assert (inside.names.questions, inside.wanted) == ([], [])


def test_default_settings_leave_only_the_ports_of_the_web(inside: Inside, spool: Spool) -> None:
    fetcher = Fetcher(user_agent="t", max_bytes=1000, connect=inside.connect)

    assert_forbidden(fetcher, f"http://{PUBLIC}:{inside.port}/", spool)
    with fetcher.fetch(f"http://{PUBLIC}/", spool) as fetched:
        assert fetched.status == 200

    assert inside.wanted == [PUBLIC]


def test_service_opens_one_port_and_its_redirects_nothing_more(inside: Inside, spool: Spool) -> None:
    fetcher = Fetcher(
        allow=[f"127.0.0.1:{inside.outside.port}"], user_agent="t", max_bytes=1000, connect=inside.connect
    )
    inside.outside.paths["/a"] = web.redirect(f"http://127.0.0.1:{inside.port}/")
    inside.outside.paths["/b"] = web.redirect("http://127.0.0.1/")
    inside.outside.paths["/c"] = web.redirect(f"http://[::1]:{inside.outside.port}/")

    with fetcher.fetch(f"http://127.0.0.1:{inside.outside.port}/", spool) as fetched:
        assert fetched.status == 200
    for path in ("/a", "/b", "/c"):
        assert_forbidden(fetcher, f"http://127.0.0.1:{inside.outside.port}{path}", spool)

    assert inside.connections == 0


def deliver(sender: CallbackSender) -> Callable[[str], None]:
    return lambda url: sender.deliver(url, "evt_1", b"{}", SECRET)


def test_callbacks_obey_the_same_rule(inside: Inside) -> None:
    send = deliver(CallbackSender(ports=[80, inside.port], user_agent="t", connect=inside.connect))
    hosts = [*LOOPBACK_HOSTS, *(literal(address) for address in every_form())]

    for host in hosts:
        with pytest.raises(FetchTargetForbidden):
            send(f"http://{host}:{inside.port}/")
    with pytest.raises(FetchTargetForbidden):
        send(f"http://{PUBLIC}:22/")

    assert (inside.connections, inside.wanted) == (0, [])


def test_callbacks_are_not_redirected(inside: Inside) -> None:
    send = deliver(CallbackSender(ports=[80, inside.port], user_agent="t", connect=inside.connect))
    for status in (301, 302, 303, 307, 308):
        inside.outside.paths["/"] = web.redirect(f"http://127.0.0.1:{inside.port}/", status)

        with pytest.raises(FetchFailed) as caught:
            send(f"http://{PUBLIC}/")

        assert caught.value.reason == f"http-{status}"
    assert inside.connections == 0
