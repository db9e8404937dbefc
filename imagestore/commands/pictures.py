"""How a picture is named on the command line: by id, by sum, or as domain/dkey."""

import re
from typing import TypedDict

from imagestore.errors import InvalidParameter
from imagestore.names import check_dkey, check_domain, check_id

_SUM = re.compile(r"[0-9a-f]{32}|[0-9a-f]{64}", re.ASCII)


class Name(TypedDict, total=False):
    """Either an id, or a sum, or a domain with a dkey."""

    id: int
    sum: str
    domain: str
    dkey: str


def parse_name(text: str) -> Name:
    """The picture that a text names. 32 or 64 hex digits are a sum, other digits an id.

    Raises:
        InvalidParameter: it is none of the three.
        InvalidKey: domain or dkey are outside their grammar.
    """
    if _SUM.fullmatch(text):
        return {"sum": text}
    if text.isascii() and text.isdigit():
        return {"id": check_id(text)}
    domain, slash, dkey = text.partition("/")
    if not slash:
        raise InvalidParameter(
            "picture", f"{text[:80]!r} is no picture, expected an id, a sum or domain/dkey"
        )
    return {"domain": check_domain(domain), "dkey": check_dkey(dkey)}
