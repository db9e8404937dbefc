"""`/domains`: what each holds and may hold. `/audit`: who changed what."""

from urllib.parse import urlencode

import falcon

from api.auth import caller
from api.errors import unknown_parameter
from api.paging import page_limit
from api.responses import send_json
from imagestore.grants import Grant
from imagestore.ledger import describe_entry, describe_usage
from imagestore.names import check_domain, check_id
from imagestore.query import parse_query
from imagestore.service import ImageStore


class Domains:
    """A page of domains, in the order of their names."""

    def __init__(self, store: ImageStore) -> None:
        self._accounts = store.accounts

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        parameters = _parameters(req, "domain", "after", "limit")
        limit, after = page_limit(parameters.get("limit")), parameters.get("after")
        # One more than asked for tells whether there is a next page.
        found = self._accounts.usage(
            after=None if after is None else check_domain(after),
            limit=limit + 1,
            domains=_domains(caller(req), parameters),
        )
        page = found[:limit]
        following = {**parameters, "after": page[-1].domain} if len(found) > limit else None
        described = [describe_usage(usage, self._accounts.quota) for usage in page]
        send_json(resp, {"domains": described, "next": _next(req, following)})

    on_head = on_get


class Audit:
    """A page of the audit log, the newest first."""

    def __init__(self, store: ImageStore) -> None:
        self._accounts = store.accounts

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        parameters = _parameters(req, "domain", "image_id", "key_id", "before", "limit")
        limit = page_limit(parameters.get("limit"))
        numbers = {
            name: check_id(parameters[name], name) if name in parameters else None
            for name in ("before", "image_id")
        }
        # One more than asked for tells whether there is a next page.
        found = self._accounts.audit(
            **numbers,
            limit=limit + 1,
            domains=_domains(caller(req), parameters),
            key_id=parameters.get("key_id"),
        )
        page = found[:limit]
        following = {**parameters, "before": str(page[-1].id)} if len(found) > limit else None
        send_json(resp, {"entries": [describe_entry(entry) for entry in page], "next": _next(req, following)})

    on_head = on_get


def _parameters(req: falcon.Request, *known: str) -> dict[str, str]:
    parameters = parse_query(req.query_string)
    for name in parameters.keys() - set(known):
        raise unknown_parameter(name, " or ".join(known))
    return parameters


def _domains(grant: Grant, parameters: dict[str, str]) -> frozenset[str]:
    """The domains that the answer is about; none of them means all."""
    if "domain" not in parameters:
        return grant.domains
    grant.require_domain(check_domain(parameters["domain"]))
    return frozenset([parameters["domain"]])


def _next(req: falcon.Request, following: dict[str, str] | None) -> str | None:
    return f"{req.path}?{urlencode(following)}" if following else None
