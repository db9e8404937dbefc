"""How a URL spells its rendition, as nginx sees it: raw, so that it can be looked up unparsed.

nginx/lua cuts URLs in the same way; the two must agree byte for byte.
"""

from imagestore.rendition import accept_class
from imagestore.signing import PARAMETERS

MAX_SPELLING_BYTES = 512
"""Longer ones are not learnt; the longest sensible URL with all parameters has about 300."""


def spelling_of(query: str, accept: str) -> str | None:
    """The raw `query` without its one `id=` or `sum=`, and without what signs it; None when nginx cannot
    look it up.

    A query with `auto` in it, or with a preset, may also depend on the Accept header, so that the class of
    the client (as `accept_class` has it) follows after `|`. An original is spelled by an empty text.
    """
    elements = [e for e in query.split("&") if e.partition("=")[0] not in PARAMETERS]
    rest = [element for element in elements if not element.startswith(("id=", "sum="))]
    if len(rest) != len(elements) - 1:
        return None
    spelling = "&".join(rest)
    if "auto" in spelling or "preset=" in spelling:
        spelling += "|" + accept_class(accept)
    return spelling if spelling.isascii() and len(spelling) <= MAX_SPELLING_BYTES else None
