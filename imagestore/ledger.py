"""What happened and what it takes up, as values: entries of the audit log, usage and quota of domains."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

Action = Literal["create", "replace", "edit", "delete", "key-add", "key-revoke", "quota"]


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One change. `sha256_old` and `sha256_new` are the bytes before and after it; `detail` is for
    changes that are about no image."""

    id: int
    create_time: datetime
    action: Action
    key_id: str | None
    request_id: str | None
    address: str | None
    domain: str | None
    image_id: int | None
    dkey: str | None
    sha256_old: str | None
    sha256_new: str | None
    detail: str | None


@dataclass(frozen=True, slots=True)
class Quota:
    """How much a domain may hold; None is no limit. `max_bytes` counts each image's original, also
    where several images share one file."""

    max_images: int | None = None
    max_bytes: int | None = None


UNLIMITED = Quota()


@dataclass(frozen=True, slots=True)
class Usage:
    """What a domain holds, and the quota that was set for it (None: as the settings say)."""

    domain: str
    images: int
    bytes: int
    quota: Quota


def describe_entry(entry: AuditEntry) -> dict[str, Any]:
    """An entry of the audit log as JSON."""
    return {
        "id": entry.id,
        "time": entry.create_time.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z",
        "action": entry.action,
        "key_id": entry.key_id,
        "request_id": entry.request_id,
        "address": entry.address,
        "domain": entry.domain,
        "image_id": entry.image_id,
        "dkey": entry.dkey,
        "sha256_old": entry.sha256_old,
        "sha256_new": entry.sha256_new,
        "detail": entry.detail,
    }


def describe_usage(usage: Usage, otherwise: Quota) -> dict[str, Any]:
    """A domain's usage as JSON, with the quota that holds; `otherwise` is that of the settings."""
    own = usage.quota
    return {
        "domain": usage.domain,
        "images": usage.images,
        "bytes": usage.bytes,
        "max_images": otherwise.max_images if own.max_images is None else own.max_images,
        "max_bytes": otherwise.max_bytes if own.max_bytes is None else own.max_bytes,
    }
