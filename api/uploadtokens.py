"""`/upload-tokens`: leave to upload one picture without a key."""

import falcon

from api import members
from api.auth import caller
from api.bodies import read_json
from api.errors import unknown_parameter
from api.responses import send_json
from imagestore.errors import InvalidRequest
from imagestore.names import check_dkey, check_domain
from imagestore.permits import DEFAULT_LIFE_S, MAX_LIFE_S, Permit, check_content_types, describe_token
from imagestore.query import parse_query
from imagestore.service import ImageStore

MEMBERS = ("domain", "dkey", "overwrite", "max_bytes", "content_types", "expires_in_s")


class UploadTokens:
    """A new one by POST."""

    def __init__(self, store: ImageStore) -> None:
        self._tokens = store.upload_tokens
        self._max_bytes = store.settings.limits.max_upload_bytes

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        for name in parse_query(req.query_string):
            raise unknown_parameter(name, "none, but members of the JSON body")
        wish = read_json(req)
        for name in wish.keys() - set(MEMBERS):
            raise InvalidRequest(f"member {name[:40]!r} is unknown, expected some of {', '.join(MEMBERS)}")
        permit = self._permit(wish)
        life_s = members.integer(wish.get("expires_in_s", DEFAULT_LIFE_S), "expires_in_s", MAX_LIFE_S)
        token, secret = self._tokens.make(permit, caller(req), life_s=life_s)
        resp.set_header("Cache-Control", "no-store")
        send_json(resp, {**describe_token(token), "token": secret}, status=201)

    def _permit(self, wish: dict[str, object]) -> Permit:
        dkey, max_bytes, types = (wish.get(name) for name in ("dkey", "max_bytes", "content_types"))
        overwrite = members.boolean(wish.get("overwrite", False), "overwrite")
        return Permit(
            check_domain(members.text(wish.get("domain"), "domain")),
            None if dkey is None else check_dkey(members.text(dkey, "dkey")),
            overwrite,
            None if max_bytes is None else members.integer(max_bytes, "max_bytes", self._max_bytes),
            frozenset()
            if types is None
            else check_content_types(members.texts(types, "content_types", of="content types")),
        )
