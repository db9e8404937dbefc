"""How people write lengths of time."""

import re

from imagestore.errors import InvalidParameter

_UNITS = {"m": 60, "h": 3600, "d": 24 * 3600}


def parse_life(text: str) -> int:
    """The seconds of a time as 90d, 12h or 30m.

    Raises:
        InvalidParameter: it is none.
    """
    found = re.fullmatch(r"([1-9][0-9]{0,4})([mhd])", text)
    if not found:
        raise InvalidParameter("expires", f"--expires is {text!r}, expected a time as 90d, 12h or 30m")
    return int(found[1]) * _UNITS[found[2]]
