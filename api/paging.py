"""Pages of a list, for every route that has one."""

from imagestore.errors import InvalidParameter

PAGE_DEFAULT = 100
PAGE_MAX = 1000


def page_limit(text: str | None) -> int:
    """How many entries a page shall have: the parameter `limit`, 1 to 1000, or 100.

    Raises:
        InvalidParameter: it is no integer in that range.
    """
    if text is None:
        return PAGE_DEFAULT
    if not (text.isascii() and text.isdigit() and len(text) <= 9 and 1 <= int(text) <= PAGE_MAX):
        raise InvalidParameter("limit", f"limit is {text[:40]!r}, expected an integer from 1 to {PAGE_MAX}")
    return int(text)
