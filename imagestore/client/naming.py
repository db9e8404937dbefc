"""How a caller names a picture: by its id, by a sum, by domain and dkey, or by what was answered before."""

import re

from imagestore.client.values import Image
from imagestore.errors import InvalidParameter
from imagestore.names import check_dkey, check_domain, check_id

Picture = Image | int | str
"""An id; a text with an id, an md5 or sha256 sum, or `domain/dkey`; an `Image` stands for its id."""

_SUM = re.compile(r"[0-9a-f]{32}|[0-9a-f]{64}", re.ASCII)


def parameters_of(picture: Picture) -> dict[str, str]:
    """The query parameters that name a picture: `id`, or `sum`, or `domain` and `dkey`.

    32 or 64 hex digits are a sum, other digits an id.

    Raises:
        InvalidParameter: it names none.
        InvalidKey: domain or dkey are outside their grammar.
    """
    text = str(picture.id) if isinstance(picture, Image) else str(picture)
    if _SUM.fullmatch(text):
        return {"sum": text}
    if text.isascii() and text.isdigit():
        return {"id": str(check_id(text))}
    domain, slash, dkey = text.partition("/")
    if not slash:
        raise InvalidParameter(
            "picture", f"{text[:80]!r} is no picture, expected an id, a sum or domain/dkey"
        )
    return {"domain": check_domain(domain), "dkey": check_dkey(dkey)}
