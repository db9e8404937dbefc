"""How a URL spells its rendition, as nginx sees it: raw, so that it can be looked up unparsed.

nginx/lua cuts URLs in the same way; the two must agree byte for byte.
"""

from imagestore.accepting import accept_class
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


def is_teachable(spelling: str, field: str) -> bool:
    """Whether nginx could tell the spelling from that of another wish; longer ones than 512 bytes are not."""
    # nginx looks at the Accept header only where it sees these letters.
    hides_auto = "format=auto" in field and "auto" not in spelling and "preset=" not in spelling
    # In `i%64=7` the API sees an id and nginx does not: it would add its own.
    # An element without a name (the last one may be followed by the class) says nothing: there would be
    # a new spelling for each more `&`.
    names = [element.partition("=")[0] for element in spelling.split("&")]
    hides_names = any("%" in name or name.startswith("|") or not name for name in names)
    return len(spelling.encode()) <= MAX_SPELLING_BYTES and not hides_auto and not hides_names
