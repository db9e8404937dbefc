"""`/keys`: API keys, for callers who may administer the whole server."""

import falcon

from api import members
from api.auth import caller
from api.bodies import read_json
from api.errors import unknown_parameter
from api.responses import send_json
from imagestore.errors import InvalidRequest
from imagestore.grants import check_domains, check_key_name, check_rights, describe_key
from imagestore.names import check_id
from imagestore.query import parse_query
from imagestore.service import ImageStore

MEMBERS = ("name", "rights", "domains", "expires_in_s")

MAX_LIFE_S = 10 * 366 * 24 * 3600


class Keys:
    """All of them by GET, a new one by POST."""

    def __init__(self, store: ImageStore) -> None:
        self._keyring = store.keyring

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        _check_request(req)
        send_json(resp, {"keys": [describe_key(key) for key in self._keyring.all()]})

    on_head = on_get

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        _check_request(req)
        wish = read_json(req)
        for name in wish.keys() - set(MEMBERS):
            raise InvalidRequest(f"member {name[:40]!r} is unknown, expected some of {', '.join(MEMBERS)}")
        domains, expires_in_s = wish.get("domains"), wish.get("expires_in_s")
        key, secret = self._keyring.add(
            check_key_name(members.text(wish.get("name"), "name")),
            check_rights(members.text(wish.get("rights"), "rights")),
            frozenset()
            if domains is None
            else check_domains(members.texts(domains, "domains", of="domains")),
            expires_in_s=None if expires_in_s is None else _life(expires_in_s),
        )
        # The one time that it is seen; no cache may keep it.
        resp.set_header("Cache-Control", "no-store")
        resp.set_header("Location", f"/v1/keys/{key.id}")
        send_json(resp, {**describe_key(key), "key": secret}, status=201)


class Key:
    """One of them: its end by DELETE."""

    def __init__(self, store: ImageStore) -> None:
        self._keyring = store.keyring

    def on_delete(self, req: falcon.Request, resp: falcon.Response, key_id: str) -> None:
        _check_request(req)
        self._keyring.revoke(check_id(key_id))
        resp.status = 204


def _check_request(req: falcon.Request) -> None:
    caller(req).require_everywhere()
    for name in parse_query(req.query_string):
        raise unknown_parameter(name, "none")


def _life(value: object) -> int:
    return members.integer(value, "expires_in_s", MAX_LIFE_S, meaning="ten years")
