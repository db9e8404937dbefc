"""Query strings, read strictly: a parameter is there once or not at all, and is valid UTF-8."""

from collections.abc import Iterator
from urllib.parse import unquote_to_bytes

from imagestore.errors import InvalidRequest


def parse_query(query: str) -> dict[str, str]:
    """The parameters of a raw query string (without `?`), percent-decoded once.

    `+` is a space, as HTML forms write it (WHATWG URL §5.1).

    Raises:
        InvalidRequest: a parameter is repeated, has no name, or is not UTF-8.
    """
    found: dict[str, str] = {}
    for name, value in _pairs(query):
        if name in found:
            raise InvalidRequest(f"parameter {name!r} is given more than once, expected once")
        found[name] = value
    return found


def _pairs(query: str) -> Iterator[tuple[str, str]]:
    for element in query.split("&"):
        if element:
            name, _, value = element.partition("=")
            if not name:
                raise InvalidRequest("the query string holds a value without a parameter name")
            yield _decode(name), _decode(value)


def _decode(text: str) -> str:
    try:
        # WSGI hands the query over as Latin-1 text, so raw non-ASCII bytes come back unharmed.
        return unquote_to_bytes(text.replace("+", " ").encode("latin-1")).decode("utf-8")
    except UnicodeError as error:
        raise InvalidRequest("the query string is not valid UTF-8") from error
