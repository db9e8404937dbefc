"""Downloads: names become addresses, and certificates are verified."""

import contextlib
import ipaddress
import socket
import ssl
import threading
import time
from dataclasses import dataclass, field

import pytest

from imagestore.dialing import connect_tcp, resolve_by_system
from imagestore.download import Fetcher
from imagestore.guard import Address
from imagestore.spool import Spool
from tests import origin as web
from tests.certificates import Certificate, self_signed
from tests.contract.download.fetching import BODY, MIB, failure, stored
from tests.dnsserver import SERVER_FAILURE, SILENCE, name_server
from tests.origin import Origin

PUBLIC = "93.184.215.14"
"""An address of a site. Nothing here ever connects to it: see `Wire`."""


@dataclass
class Wire:
    """A `Connect` that notes where a connection would go, and ends it at `port` of loopback."""

    port: int
    wanted: list[tuple[str, int]] = field(default_factory=list)

    def __call__(self, address: Address, port: int, timeout_s: float) -> socket.socket:
        self.wanted.append((str(address), port))
        return socket.create_connection(("127.0.0.1", self.port), timeout_s)


def test_name_goes_into_the_host_header_and_its_address_is_connected_to(server: Origin, spool: Spool) -> None:
    server.paths["/a"] = web.answer(body=BODY)
    wire = Wire(server.port)

    with name_server(pictures=[[PUBLIC, "2606:2800::1"]]) as names:
        fetcher = Fetcher(user_agent="t", max_bytes=MIB, resolve=names.resolve, connect=wire)
        stored(fetcher, "http://pictures.test/a", spool)

    assert wire.wanted == [("2606:2800::1", 80)]
    assert server.requests[0].headers["host"] == "pictures.test"
    assert names.questions == ["pictures.test"]


def test_next_address_is_tried_when_one_refuses(server: Origin, spool: Spool) -> None:
    server.paths["/a"] = web.answer(body=BODY)
    wire = Wire(server.port)

    def refuse_v6(address: Address, port: int, timeout_s: float) -> socket.socket:
        connection = wire(address, port, timeout_s)
        if address.version == 6:
            connection.close()
            raise ConnectionRefusedError
        return connection

    with name_server(pictures=[[PUBLIC, "2606:2800::1"]]) as names:
        fetcher = Fetcher(user_agent="t", max_bytes=MIB, resolve=names.resolve, connect=refuse_v6)
        stored(fetcher, "http://pictures.test/a", spool)

    assert wire.wanted == [("2606:2800::1", 80), (PUBLIC, 80)]


@pytest.mark.parametrize(
    ("name", "passing"), [("missing", False), ("broken", True), ("silent", True), ("empty", False)]
)
def test_name_that_does_not_resolve_is_a_failure(spool: Spool, name: str, passing: bool) -> None:
    with name_server(broken=[[SERVER_FAILURE]], silent=[[SILENCE]], empty=[[]]) as names:
        fetcher = Fetcher(user_agent="t", max_bytes=MIB, connect_timeout_s=0.5, resolve=names.resolve)
        began = time.monotonic()

        failed = failure(fetcher, f"http://{name}.test/", spool)

    assert (failed.reason, failed.passing) == ("dns", passing)
    assert time.monotonic() - began < 2


def test_system_resolver_that_hangs_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()

    def hang(host: str, port: None, type: int, flags: int) -> list[object]:
        if flags == socket.AI_NUMERICHOST:
            raise socket.gaierror(socket.EAI_NONAME, "a name")
        release.wait(20)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", hang)

    try:
        with pytest.raises(TimeoutError):
            resolve_by_system("pictures.test", 0.1)
    finally:
        release.set()


def test_connection_that_is_not_answered_is_left_at_the_connect_timeout(spool: Spool) -> None:
    # A full queue of a listener that never accepts: Linux drops what comes on top.
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        queued = [connect_tcp_without_waiting(port) for _ in range(3)]
        fetcher = Fetcher(allow=[f"127.0.0.1:{port}"], user_agent="t", max_bytes=MIB, connect_timeout_s=0.5)

        failed = failure(fetcher, f"http://127.0.0.1:{port}/", spool)

        for connection in queued:
            connection.close()
    assert (failed.reason, failed.passing) == ("timeout", True)


def connect_tcp_without_waiting(port: int) -> socket.socket:
    connection = socket.socket()
    connection.setblocking(False)
    connection.connect_ex(("127.0.0.1", port))
    return connection


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return self_signed("pictures.test", tmp_path_factory.mktemp("tls"))


def tls_fetcher(server: Origin, trusted: ssl.SSLContext | None = None) -> Fetcher:
    return Fetcher(
        user_agent="t",
        max_bytes=MIB,
        connect_timeout_s=2,
        tls=trusted,
        resolve=lambda host, timeout_s: [PUBLIC],
        connect=Wire(server.port),
    )


def test_certificate_is_verified_for_the_name(certificate: Certificate, spool: Spool) -> None:
    with web.origin({"/a": web.answer(body=BODY)}, tls=certificate.server()) as server:
        fetcher = tls_fetcher(server, certificate.trusted())

        assert stored(fetcher, "https://pictures.test/a", spool)[1] == BODY
        assert server.server_names == ["pictures.test"]
        assert server.requests[0].headers["host"] == "pictures.test"
        assert failure(fetcher, "https://other.test/a", spool).reason == "tls"
        assert failure(fetcher, f"https://{PUBLIC}/a", spool).reason == "tls"
        assert len(server.requests) == 1


def test_certificate_that_nobody_vouches_for_is_refused(certificate: Certificate, spool: Spool) -> None:
    with web.origin({"/a": web.answer(body=BODY)}, tls=certificate.server()) as server:
        failed = failure(tls_fetcher(server), "https://pictures.test/a", spool)

        assert (failed.reason, failed.passing) == ("tls", False)
        assert server.requests == []


def test_slow_handshake_is_left_at_the_connect_timeout(spool: Spool) -> None:
    def drip_a_record() -> None:
        with listener.accept()[0] as connection, contextlib.suppress(OSError):
            connection.sendall(b"\x16\x03\x03\x40\x00")
            connection.settimeout(0.02)
            while True:
                connection.sendall(b"\0")
                with contextlib.suppress(TimeoutError):
                    connection.recv(65536)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=drip_a_record)
        thread.start()
        fetcher = Fetcher(
            user_agent="t",
            max_bytes=MIB,
            connect_timeout_s=0.5,
            resolve=lambda host, timeout_s: [PUBLIC],
            connect=Wire(listener.getsockname()[1]),
        )

        assert failure(fetcher, "https://pictures.test/a", spool).reason == "timeout"
        thread.join()


def test_server_without_tls_is_refused(spool: Spool) -> None:
    def answer_in_the_clear() -> None:
        with listener.accept()[0] as connection:
            connection.sendall(b"HTTP/1.1 400 Bad\r\n\r\n")
            connection.recv(65536)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=answer_in_the_clear)
        thread.start()
        fetcher = Fetcher(
            user_agent="t",
            max_bytes=MIB,
            resolve=lambda host, timeout_s: [PUBLIC],
            connect=Wire(listener.getsockname()[1]),
        )

        assert failure(fetcher, "https://pictures.test/a", spool).reason == "tls"
        thread.join()


def test_slow_body_over_tls_is_left_at_the_deadline(certificate: Certificate, spool: Spool) -> None:
    with web.origin({"/a": web.drip(BODY, after=web.head(200))}, tls=certificate.server()) as server:
        fetcher = Fetcher(
            user_agent="t",
            max_bytes=MIB,
            total_timeout_s=0.5,
            tls=certificate.trusted(),
            resolve=lambda host, timeout_s: [PUBLIC],
            connect=Wire(server.port),
        )

        assert failure(fetcher, "https://pictures.test/a", spool).reason == "timeout"


def test_connecting_leaves_no_socket_behind_when_refused() -> None:
    with web.origin() as gone:
        pass

    with pytest.raises(ConnectionRefusedError):
        connect_tcp(ipaddress.ip_address("127.0.0.1"), gone.port, 1)
