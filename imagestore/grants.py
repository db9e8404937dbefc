"""Who may do what: the rights of API keys, as values."""

import dataclasses
from datetime import datetime
from typing import Any, Literal, get_args

from imagestore.errors import Forbidden, InvalidParameter
from imagestore.names import check_domain

Right = Literal["read", "write", "admin"]
"""Each includes those before it. `read`: tasks, usage and private pictures; `write`: everything that
makes, changes or removes pictures and tasks; `admin`: keys, the audit log, and whole-server work."""

RIGHTS: tuple[Right, ...] = get_args(Right)

MAX_NAME_CHARACTERS = 64
MAX_DOMAINS = 100


@dataclasses.dataclass(frozen=True, slots=True)
class Grant:
    """What the caller of one request may do.

    `key_id` names the key in logs: a number, or `API_KEY` and `API_KEYS.1`, `API_KEYS.2`, ... for
    those of the settings. No `domains` are all domains.
    """

    key_id: str
    rights: Right
    domains: frozenset[str] = frozenset()

    def require(self, right: Right) -> None:
        """Check for a right.

        Raises:
            Forbidden: the key lacks it.
        """
        if RIGHTS.index(self.rights) < RIGHTS.index(right):
            raise Forbidden(f"this API key has the right {self.rights!r}, expected {right!r}")

    def require_domain(self, domain: str) -> None:
        """Check that the rights hold in a domain.

        Raises:
            Forbidden: they do not.
        """
        if self.domains and domain not in self.domains:
            raise Forbidden(f"this API key is not for the domain {domain!r}")

    def require_everywhere(self) -> None:
        """Check that the rights hold in all domains, for what belongs to none.

        Raises:
            Forbidden: the key is limited to some.
        """
        if self.domains:
            raise Forbidden("this API key is limited to some domains, and this is about all of them")


@dataclasses.dataclass(frozen=True, slots=True)
class KeyRecord:
    """A key as the database knows it, which is without its secret. Times are UTC.

    No `domains` are all domains; `use_time` is coarse (see `keyring.USE_STEP_S`).
    """

    id: int
    name: str
    rights: Right
    domains: frozenset[str]
    create_time: datetime
    use_time: datetime | None
    expire_time: datetime | None
    revoke_time: datetime | None

    @property
    def grant(self) -> Grant:
        return Grant(str(self.id), self.rights, self.domains)

    def valid_at(self, moment: datetime) -> bool:
        """Neither revoked nor expired."""
        return self.revoke_time is None and (self.expire_time is None or moment < self.expire_time)


def check_rights(text: str) -> Right:
    """`text` itself, one of RIGHTS.

    Raises:
        InvalidParameter: it is none.
    """
    for right in RIGHTS:
        if text == right:
            return right
    raise InvalidParameter("rights", f"rights is {text[:40]!r}, expected one of {', '.join(RIGHTS)}")


def check_key_name(text: str) -> str:
    """`text` itself: 1 to 64 printable characters that tell people whose key it is.

    Raises:
        InvalidParameter: it is something else.
    """
    if not (1 <= len(text) <= MAX_NAME_CHARACTERS and text.isprintable()):
        raise InvalidParameter("name", f"name is {text[:80]!r}, expected 1 to 64 printable characters")
    return text


def check_domains(domains: list[str]) -> frozenset[str]:
    """The domains that a key is limited to.

    Raises:
        InvalidParameter: there is none, which would mean all, or there are over 100.
        InvalidKey: one of them is no domain.
    """
    if not 1 <= len(domains) <= MAX_DOMAINS:
        raise InvalidParameter("domains", f"domains has {len(domains)} names, expected 1 to {MAX_DOMAINS}")
    return frozenset(check_domain(domain) for domain in domains)


def describe_key(key: KeyRecord) -> dict[str, Any]:
    """A key as JSON."""
    return {
        "id": key.id,
        "name": key.name,
        "rights": key.rights,
        "domains": sorted(key.domains) or None,
        "create_time": _moment(key.create_time),
        "use_time": _moment(key.use_time),
        "expire_time": _moment(key.expire_time),
        "revoke_time": _moment(key.revoke_time),
    }


def _moment(moment: datetime | None) -> str | None:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z" if moment else None
