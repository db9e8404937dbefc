"""`/signed-urls`: for who has a key, URLs of pictures that a browser can show without it."""

import time
from urllib.parse import unquote_to_bytes

import falcon

from api import members
from api.auth import caller
from api.bodies import read_json
from api.errors import unknown_parameter
from api.read import PICTURE_NAMES, RECORD_NAMES, find
from api.responses import send_json
from imagestore.errors import ImageNotFound, InvalidKey, InvalidParameter, InvalidRequest
from imagestore.grants import Grant
from imagestore.names import check_dkey, check_domain
from imagestore.query import parse_query
from imagestore.service import ImageStore
from imagestore.signing import sign

MAX_URLS = 200
MAX_LIFE_S = 7 * 24 * 3600
DEFAULT_LIFE_S = 3600
STEPS = 4
"""A life ends on a whole multiple of a quarter of it, so that for a while a picture has one URL, which
caches know."""

ROUTES = ("/image/read", "/image/info")
"""That are signed, beside `/{domain}/{dkey}`."""


class SignedUrls:
    """Signatures by POST."""

    def __init__(self, store: ImageStore) -> None:
        self._store = store

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        for name in parse_query(req.query_string):
            raise unknown_parameter(name, "none, but members of the JSON body")
        wish = read_json(req)
        for name in wish.keys() - {"urls", "expires_in_s"}:
            raise InvalidRequest(f"member {name[:40]!r} is unknown, expected urls and expires_in_s")
        urls = _urls(wish.get("urls"))
        life_s = members.integer(wish.get("expires_in_s", DEFAULT_LIFE_S), "expires_in_s", MAX_LIFE_S)
        step = max(1, life_s // STEPS)
        expires = (int(time.time()) + life_s) // step * step
        signed = [self._signed(caller(req), number, url, expires) for number, url in enumerate(urls)]
        resp.set_header("Cache-Control", "no-store")
        send_json(resp, {"urls": signed, "expires": expires})

    def _signed(self, grant: Grant, number: int, url: str, expires: int) -> str | None:
        """None for a picture that is not there and for one that the key is not for: nobody learns which."""
        settings = self._store.settings
        try:
            domain, lasts = self._domain_of(url)
            if grant.domains and domain not in grant.domains:
                return None
            rule, mode = settings.variants.of(domain), settings.signing.modes.of(domain)
            if mode == "off" and rule.kind != "signed":
                return url
            if grant.domains and not lasts:
                return None
            return sign(url, settings.signing.keys[0], expires=expires)
        except ImageNotFound:
            return None
        except (InvalidKey, InvalidParameter, InvalidRequest) as error:
            raise InvalidParameter("urls", f"urls[{number}]: {error.detail}") from error
        except ValueError as error:
            raise InvalidParameter("urls", f"urls[{number}]: {error}") from error

    def _domain_of(self, url: str) -> tuple[str, bool]:
        """Whose picture it is that the URL shows, and whether it is that one's for ever: a sum may be
        answered by an image of another domain when this one is gone."""
        path, _, query = url.partition("?")
        if path.startswith("/v1/"):
            path = path[len("/v1") :]
        if path not in ROUTES:
            return _named(path), True
        given = parse_query(query)
        names = PICTURE_NAMES if path == "/image/read" else RECORD_NAMES
        record = find(self._store, given, names)
        return record.domain, "sum" not in given


def _named(path: str) -> str:
    """The domain of the path `/{domain}/{dkey}`.

    Raises:
        InvalidKey: it is another path, or no path at all.
    """
    try:
        root, domain, dkey = unquote_to_bytes(path).decode().split("/", 2)
    except ValueError as error:
        raise InvalidKey(f"expected a path: {', '.join(ROUTES)} or /domain/dkey") from error
    if root or not path.startswith("/"):
        raise InvalidKey("expected a path from the root of this server on")
    check_dkey(dkey)
    return check_domain(domain)


def _urls(value: object) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(url, str) for url in value):
        raise InvalidParameter("urls", "urls is not a list of texts")
    if not 1 <= len(value) <= MAX_URLS:
        raise InvalidParameter("urls", f"urls has {len(value)} members, expected 1 to {MAX_URLS}")
    return value
