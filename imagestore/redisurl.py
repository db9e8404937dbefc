"""Addresses of Redis: of one, as redis-py reads them, and of a master that Sentinels know.

    redis+sentinel://[[user]:password@]host[:port][,host[:port]...]/master[/database]

as Redis-Sentinel-Url (and so rq-dashboard) and `limits` write it. The login before the `@` is the one
of the master; that of the Sentinels themselves, if they have one, is `?sentinel_password=` and
`&sentinel_username=`. nginx/lua/redis.lua reads the same.
"""

import re
from dataclasses import dataclass, field
from urllib.parse import parse_qs, unquote

SCHEME = "redis+sentinel"

ONE_REDIS = ("redis://", "rediss://", "unix://")
"""Schemes of one Redis; the last one is a socket."""

DEFAULT_PORT = 26379
"""Of a Sentinel (its documentation, "Configuring Sentinel")."""

_SHAPE = re.compile(
    rf"{re.escape(SCHEME)}://(?:([^@/]*)@)?([^@/?]+)/([A-Za-z0-9._-]+)(?:/([0-9]{{0,4}}))?(?:\?(.*))?"
)
"""A master's name is what Sentinel allows it to be (its `isValidMasterName`: letters, digits and `._-`)."""

_PLACE = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:\[\],]+)(?::([0-9]{1,5}))?")

_QUERY = {"sentinel_username", "sentinel_password"}


@dataclass(frozen=True, slots=True)
class SentinelURL:
    """Where the Sentinels are, which master to ask them for, and the logins of both; empty is none."""

    sentinels: tuple[tuple[str, int], ...]
    master: str
    database: int = 0
    username: str = ""
    password: str = field(default="", repr=False)
    sentinel_username: str = ""
    sentinel_password: str = field(default="", repr=False)

    @classmethod
    def parse(cls, url: str) -> "SentinelURL":
        """Take the address apart.

        Raises:
            ValueError: it does not follow the grammar; the message holds nothing of it, nor a password.
        """
        shape = _SHAPE.fullmatch(url)
        if not shape:
            raise ValueError(
                f"expected {SCHEME}://[:password@]host[:port][,host[:port]...]/master[/database]"
            )
        login, places, master, database, query = (group or "" for group in shape.groups())
        username, _, password = login.partition(":")
        logins = _logins_of_sentinels(query)
        return cls(
            sentinels=tuple(map(_place, places.split(","))),
            master=master,
            database=int(database or 0),
            username=unquote(username),
            password=unquote(password),
            sentinel_username=logins.get("sentinel_username", ""),
            sentinel_password=logins.get("sentinel_password", ""),
        )


def is_sentinel(url: str) -> bool:
    """Whether the URL is meant to be a `SentinelURL`, and not that of one Redis."""
    return url.startswith(f"{SCHEME}:")


def check_redis_url(url: str) -> None:
    """Refuse what is no address of Redis.

    Raises:
        ValueError: the message holds nothing of the URL.
    """
    if is_sentinel(url):
        SentinelURL.parse(url)
    elif not url.startswith(ONE_REDIS):
        raise ValueError(f"expected an address that begins with {', '.join(ONE_REDIS)} or {SCHEME}://")


def _place(text: str) -> tuple[str, int]:
    place = _PLACE.fullmatch(text.strip())
    port = int(place[2] or DEFAULT_PORT) if place else 0
    if not place or not 0 < port < 65_536:
        raise ValueError("a Sentinel is not host or host:port")
    return place[1].strip("[]"), port


def _logins_of_sentinels(query: str) -> dict[str, str]:
    # `+` is itself in a password, as before the `@`.
    found = parse_qs(query.replace("+", "%2B"), strict_parsing=bool(query))
    if set(found) - _QUERY or any(len(values) > 1 for values in found.values()):
        raise ValueError(f"behind the `?` there may be {' and '.join(sorted(_QUERY))} once each")
    return {name: values[0] for name, values in found.items()}
