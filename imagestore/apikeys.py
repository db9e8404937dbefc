"""The API keys that the operator's settings name, and the one that the first start made."""

from dataclasses import dataclass, field
from pathlib import Path

from imagestore.environment import Environment
from imagestore.errors import InvalidKey
from imagestore.names import check_domain
from imagestore.permits import UPLOAD_TOKEN_PREFIX

API_KEY_FILE = "api-key"
"""Name in the data directory of the key that the first start makes."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A secret that allows everything; in every domain when `domains` is empty. `id` is its name in logs."""

    id: str
    secret: str = field(repr=False)
    domains: frozenset[str] = frozenset()


def configured_keys(reader: Environment, data_dir: Path) -> tuple[ApiKey, ...]:
    """`API_KEY` may do everything; each `secret=domain,domain` of `API_KEYS` only there.

    With neither, the key that the first start left in the data directory counts. What is wrong with a
    key is a fault of `reader`.
    """
    keys = []
    master = reader.text("API_KEY", "")
    if master:
        keys.append(ApiKey("API_KEY", master))
    entries = filter(None, (part.strip() for part in reader.text("API_KEYS", "").split(";")))
    for number, entry in enumerate(entries, start=1):
        secret, limited, domains = entry.rpartition("=")
        own = (secret, _domains(reader, domains)) if limited else (entry,)
        keys.append(ApiKey(f"API_KEYS.{number}", *own))
    made = data_dir / API_KEY_FILE
    if not keys and made.is_file():
        keys.append(ApiKey("API_KEY", made.read_text().strip()))
    for key in keys:
        if len(key.secret) < 16 or not key.secret.isascii() or " " in key.secret:
            reader.faults.append(
                "API_KEY or a key of API_KEYS is not 16 or more ASCII characters without spaces"
            )
        if key.secret.startswith(UPLOAD_TOKEN_PREFIX):
            reader.faults.append(
                f"API_KEY or a key of API_KEYS begins with {UPLOAD_TOKEN_PREFIX}, as upload tokens do"
            )
    return tuple(keys)


def _domains(reader: Environment, text: str) -> frozenset[str]:
    """What a key is limited to. Nothing behind the `=` is a fault: such a key would write everywhere."""
    domains = frozenset(domain.strip() for domain in text.split(","))
    try:
        return frozenset(check_domain(domain) for domain in domains)
    except InvalidKey as error:
        reader.faults.append(f"API_KEYS has a key with a wrong list of domains: {error.detail}")
        return domains
