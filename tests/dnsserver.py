"""A name server for the tests, on loopback, whose answers can change from one question to the next."""

import contextlib
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.resolver
import dns.rrset

SILENCE = "silence"
"""Instead of addresses: no answer at all."""

SERVER_FAILURE = "server failure"
"""Instead of addresses: SERVFAIL (RFC 1035 §4.1.1)."""


@dataclass
class NameServer:
    """A running name server."""

    port: int
    answers: dict[str, list[Sequence[str]]] = field(default_factory=dict)
    """Name -> addresses for the first question, the second ...; the last ones stay. A name that is
    not here does not exist."""
    questions: list[str] = field(default_factory=list)
    """Every name whose addresses were asked for, in order; an A and an AAAA question count once."""

    def resolve(self, host: str, timeout_s: float) -> list[str]:
        """A stub resolver that asks this server: a `Resolve` of imagestore.dialing."""
        resolver = dns.resolver.Resolver(configure=False)
        resolver.nameservers = ["127.0.0.1"]
        resolver.port = self.port
        resolver.lifetime = timeout_s
        try:
            found = resolver.resolve_name(f"{host}.", search=False)
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer) as error:
            raise socket.gaierror(socket.EAI_NONAME, "no such name") from error
        except dns.resolver.NoNameservers as error:
            raise socket.gaierror(socket.EAI_AGAIN, "server failure") from error
        except dns.exception.Timeout as error:
            raise TimeoutError from error
        return list(found.addresses())


@contextlib.contextmanager
def name_server(**answers: list[Sequence[str]]) -> Iterator[NameServer]:
    """A name server; keyword arguments are its first names, in the domain `test` (RFC 6761 §6.2)."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            data, connection = self.request
            reply = _reply(dns.message.from_wire(data), choose)
            if reply is not None:
                connection.sendto(reply.to_wire(), self.client_address)

    def choose(name: str, question: dns.rdatatype.RdataType) -> Sequence[str] | None:
        if name not in running.answers:
            return None
        # dnspython asks for IPv6 first; both questions of one resolution get the same round.
        if question == dns.rdatatype.AAAA:
            running.questions.append(name)
        rounds = running.answers[name]
        return rounds[min(running.questions.count(name), len(rounds)) - 1]

    with socketserver.UDPServer(("127.0.0.1", 0), Handler) as server:
        first = {f"{name}.test": rounds for name, rounds in answers.items()}
        running = NameServer(server.server_address[1], first)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield running
        finally:
            server.shutdown()
            thread.join()


def _reply(
    query: dns.message.Message, choose: Callable[[str, dns.rdatatype.RdataType], Sequence[str] | None]
) -> dns.message.Message | None:
    question = query.question[0]
    reply = dns.message.make_response(query)
    reply.flags |= dns.flags.AA | dns.flags.RA
    chosen = choose(question.name.to_text(omit_final_dot=True), question.rdtype)
    if chosen is None:
        reply.set_rcode(dns.rcode.NXDOMAIN)
    elif SILENCE in chosen:
        return None
    elif SERVER_FAILURE in chosen:
        reply.set_rcode(dns.rcode.SERVFAIL)
    else:
        is_v6 = question.rdtype == dns.rdatatype.AAAA
        matching = [address for address in chosen if (":" in address) == is_v6]
        if matching:
            reply.answer.append(dns.rrset.from_text(question.name, 0, "IN", question.rdtype, *matching))
    return reply
