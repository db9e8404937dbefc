"""Members of a JSON body: each is of its type, or a problem that names it."""

from imagestore.errors import InvalidParameter


def text(value: object, name: str) -> str:
    """Raises InvalidParameter for anything but a string, as all here do for another type."""
    if not isinstance(value, str):
        raise InvalidParameter(name, f"{name} is not a text")
    return value


def texts(value: object, name: str, *, of: str) -> list[str]:
    """A list of strings; `of` says in the plural what they are."""
    if not isinstance(value, list):
        raise InvalidParameter(name, f"{name} is not a list of {of}")
    return [text(one, name) for one in value]


def integer(value: object, name: str, high: int, *, meaning: str = "") -> int:
    """From 1 to `high`, which may have a meaning in other words."""
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= high:
        raise InvalidParameter(name, f"{name} is no integer from 1 to {high}{meaning and f' ({meaning})'}")
    return value


def boolean(value: object, name: str) -> bool:
    """`true` or `false`, and not a number or a word for them."""
    if not isinstance(value, bool):
        raise InvalidParameter(name, f"{name} is not true or false")
    return value
