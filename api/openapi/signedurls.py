"""The route of signatures."""

from typing import Any

from api.openapi.schemas import TEXT, shape
from api.openapi.words import answer, json_body, json_of, operation
from api.signedurls import DEFAULT_LIFE_S, MAX_LIFE_S, MAX_URLS

_LIFE = {"type": "integer", "minimum": 1, "maximum": MAX_LIFE_S, "default": DEFAULT_LIFE_S}
_URLS = {"type": "array", "minItems": 1, "maxItems": MAX_URLS}
_WISH = {
    **shape("URLs to sign.", {"urls": {**_URLS, "items": TEXT}, "expires_in_s": _LIFE}, "expires_in_s"),
    "additionalProperties": False,
}
_SIGNED = shape(
    "The same URLs in the same order.",
    {
        "urls": {**_URLS, "items": {"type": ["string", "null"]}},
        "expires": {"type": "integer", "description": "Second since 1970 in which the signatures end."},
    },
)

PATHS: dict[str, Any] = {
    "/signed-urls": {
        "post": operation(
            "signUrls",
            "URLs that show pictures without a key",
            "Access",
            description="Of `/image/read`, `/image/info` and `/{domain}/{dkey}`, from this server's root "
            "on. A URL comes back as it is where its domain demands no signature, and as null where no "
            "image has that id or sum, and where it is of a domain that the key is not for.",
            right="read",
            body=json_body(_WISH, "application/merge-patch+json"),
            answers={"200": answer("What a browser may ask for.", json_of(_SIGNED))},
            problems=("invalid-parameter", "payload-too-large", "unsupported-media-type"),
        )
    }
}
