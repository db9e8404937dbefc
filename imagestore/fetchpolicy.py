"""How pictures are fetched from other servers: where they may come from, how patiently and how politely."""

from dataclasses import dataclass

from imagestore.environment import Environment


@dataclass(frozen=True, slots=True)
class FetchPolicy:
    """Rules for downloads (promises §14, §15)."""

    allow: tuple[str, ...] = ()
    """Networks and `host:port` that may be reached although they are not public."""
    ports: tuple[int, ...] = (80, 443)
    user_agent: str = "imagestore/1"
    timeout_s: float = 30
    """Wall clock of one download with its redirects."""
    concurrency_per_host: int = 4
    """Downloads at once from one host, over all workers; fewer than jobs at once, so that a slow host
    never holds all of them."""
    rate_per_host: float = 50
    """Requests a second to one host, over all workers."""

    @classmethod
    def read(cls, reader: Environment) -> "FetchPolicy":
        """The policy in the variables `FETCH_...`; what is wrong with one is a fault of `reader`."""
        default = cls()
        ports = _ports(reader) or default.ports
        user_agent = reader.text("FETCH_USER_AGENT", default.user_agent)
        if not (user_agent.isascii() and user_agent.isprintable()):
            reader.faults.append("FETCH_USER_AGENT is not printable ASCII")
        return cls(
            allow=tuple(reader.words("FETCH_ALLOW")),
            ports=ports,
            user_agent=user_agent,
            timeout_s=reader.number("FETCH_TIMEOUT_S", 0.1, 120, default.timeout_s),
            concurrency_per_host=reader.integer(
                "FETCH_CONCURRENCY_PER_HOST", 1, 1000, default.concurrency_per_host
            ),
            rate_per_host=reader.number("FETCH_RATE_PER_HOST", 0.01, 10_000, default.rate_per_host),
        )


def _ports(reader: Environment) -> tuple[int, ...]:
    ports = []
    for word in reader.words("FETCH_PORTS"):
        if word.isascii() and word.isdigit() and 1 <= int(word[:9]) <= 65_535:
            ports.append(int(word))
        else:
            reader.faults.append(f"FETCH_PORTS has {word[:40]!r}, expected ports from 1 to 65535")
    return tuple(ports)
