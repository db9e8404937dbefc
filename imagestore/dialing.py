"""Connections to hosts that a stranger named: resolve once, judge, connect to what was judged."""

import contextlib
import functools
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence

from imagestore.errors import FetchFailed, FetchTargetForbidden
from imagestore.guard import Address, Guard
from imagestore.weburl import WebURL

Resolve = Callable[[str, float], Sequence[str]]
"""The addresses of a host within so many seconds; raises `socket.gaierror` or `TimeoutError`."""

Connect = Callable[[Address, int, float], socket.socket]
"""A TCP connection to that address and port within so many seconds; raises `OSError`."""


class Deadline:
    """A point in time after which nothing more is waited for."""

    def __init__(self, seconds: float) -> None:
        self._at = time.monotonic() + seconds

    def left(self) -> float:
        """Seconds until then.

        Raises:
            FetchFailed: `timeout`, none are left.
        """
        seconds = self._at - time.monotonic()
        if seconds <= 0:
            raise FetchFailed("timeout", "no whole answer came in time", passing=True)
        return seconds


class Dialer:
    """Opens connections, to addresses that the guard allows and to no others."""

    def __init__(
        self,
        guard: Guard,
        *,
        connect_timeout_s: float,
        tls: ssl.SSLContext | None = None,
        resolve: Resolve | None = None,
        connect: Connect | None = None,
    ) -> None:
        """
        Args:
            guard: which addresses and ports may be connected to.
            connect_timeout_s: seconds for name resolution, and again for TCP and TLS together.
            tls: by default the system's certificate authorities, with verification.
            resolve: by default the system's resolver.
            connect: by default a TCP connection.
        """
        self._guard = guard
        self._connect_timeout_s = connect_timeout_s
        self._tls = tls or _verifying()
        self._resolve = resolve or resolve_by_system
        self._connect = connect or connect_tcp

    @contextlib.contextmanager
    def dial(self, url: WebURL, deadline: Deadline) -> Iterator[socket.socket]:
        """A connection to `url`'s host, with TLS if the URL wants it.

        The host is resolved once, and its certificate is verified for the URL's host.

        Raises:
            FetchTargetForbidden: the port is closed, or any of the host's addresses is forbidden;
                nothing was connected to.
            FetchFailed: `dns`, or `timeout`.
            OSError: no connection; `ssl.SSLError` is one.
        """
        addresses = self._judged(url, deadline)
        patience = Deadline(min(self._connect_timeout_s, deadline.left()))
        with contextlib.ExitStack() as stack:
            transport = stack.enter_context(self._first(addresses, url.port, patience))
            if url.scheme == "https":
                transport.settimeout(patience.left())
                transport = self._tls.wrap_socket(transport, server_hostname=url.host)
                stack.enter_context(transport)
            yield transport

    def _judged(self, url: WebURL, deadline: Deadline) -> list[Address]:
        """Every address of the host, all of them allowed."""
        if not self._guard.port_allowed(url):
            raise FetchTargetForbidden
        try:
            texts = self._resolve(url.host, min(self._connect_timeout_s, deadline.left()))
        except socket.gaierror as error:
            passing = error.errno == socket.EAI_AGAIN
            raise FetchFailed("dns", "the host's name could not be resolved", passing) from error
        except TimeoutError as error:
            raise FetchFailed("dns", "the name servers did not answer in time", passing=True) from error
        addresses = [ipaddress.ip_address(text) for text in texts]
        if not addresses:
            raise FetchFailed("dns", "the host's name has no address")
        if not all(self._guard.allows(url, address) for address in addresses):
            raise FetchTargetForbidden
        return addresses

    def _first(self, addresses: list[Address], port: int, patience: Deadline) -> socket.socket:
        """A connection to the first address that accepts; each gets its share of the time."""
        for number, address in enumerate(addresses, start=1):
            share_s = patience.left() / (len(addresses) - number + 1)
            try:
                return self._connect(address, port, share_s)
            except OSError:
                if number == len(addresses):
                    raise
        raise AssertionError("a judged host has an address")


def resolve_by_system(host: str, timeout_s: float) -> list[str]:
    """The addresses of `host` by the system's resolver, in the order to try them (RFC 6724).

    The resolver has no bound of its own that a program could set, so it works in a thread of which
    nothing is expected any more after `timeout_s` seconds.

    Raises:
        socket.gaierror: no such name, or no name server.
        TimeoutError: no answer in time.
    """
    found: list[str] = []
    faults: list[OSError] = []

    def look_up() -> None:
        try:
            found.extend(_addresses(host))
        except OSError as error:
            faults.append(error)

    try:
        return _addresses(host, socket.AI_NUMERICHOST)
    except socket.gaierror:
        pass  # It is a name, and names may take their time.
    thread = threading.Thread(target=look_up, name="resolve", daemon=True)
    thread.start()
    thread.join(timeout_s)
    if thread.is_alive():
        raise TimeoutError
    for fault in faults:
        raise fault
    return found


def _addresses(host: str, flags: int = 0) -> list[str]:
    try:
        rows = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=flags)
    except UnicodeError as error:
        raise socket.gaierror(socket.EAI_NONAME, "no name of the DNS") from error
    return list(dict.fromkeys(str(row[4][0]) for row in rows))


def connect_tcp(address: Address, port: int, timeout_s: float) -> socket.socket:
    """A TCP connection to exactly that address.

    Raises:
        OSError: refused, unreachable, or not within `timeout_s` seconds.
    """
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    connection = socket.socket(family, socket.SOCK_STREAM)
    try:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.settimeout(timeout_s)
        connection.connect((str(address), port))
    except BaseException:
        connection.close()
        raise
    return connection


@functools.cache
def _verifying() -> ssl.SSLContext:
    """Verification by the system's authorities; one for all, since reading them takes 40 ms."""
    return ssl.create_default_context()
