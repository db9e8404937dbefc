"""JSON from strangers: an object, shallow, finite, and text that every database can hold."""

import json
import math
from typing import Any, NoReturn

from imagestore.errors import InvalidRequest

MAX_DEPTH = 32
"""Levels of nesting (promises, table of problems)."""

MAX_METADATA_BYTES = 64 * 1024
"""Length of one image's user metadata as JSON text; a MySQL TEXT column's own limit."""


def parse_json(text: str | bytes, *, what: str) -> Any:
    """The value of a JSON text; `what` names it in errors.

    Raises:
        InvalidRequest: malformed, nested over 32 levels, with NaN or Infinity, or with a lone
            surrogate, which UTF-8 cannot carry.
    """
    try:
        value = json.loads(text, parse_constant=_refuse_constant, parse_float=_finite)
        # Also finds the escaped lone surrogates (RFC 8259 §8.2), which json.loads lets pass.
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(f"{what} is not valid JSON (RFC 8259)") from error
    if _deeper_than(value, MAX_DEPTH):
        raise InvalidRequest(f"{what} is nested deeper than {MAX_DEPTH} levels")
    return value


def parse_object(text: str | bytes, *, what: str) -> dict[str, Any]:
    """The same for a JSON object of at most 64 KiB.

    Raises:
        InvalidRequest: as `parse_json`, or longer, or not an object.
    """
    if len(text) > MAX_METADATA_BYTES:
        raise InvalidRequest(f"{what} is over {MAX_METADATA_BYTES} bytes")
    value = parse_json(text, what=what)
    if not isinstance(value, dict):
        raise InvalidRequest(f"{what} is not a JSON object")
    return value


def merge_patch(target: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    """`target` with `patch` laid over it: null removes, objects merge (RFC 7396 §2).

    Raises:
        InvalidRequest: the result is longer than 64 KiB.
    """
    merged = _merge(target, patch)
    if len(json.dumps(merged, ensure_ascii=False).encode("utf-8")) > MAX_METADATA_BYTES:
        raise InvalidRequest(f"user_metadata would be over {MAX_METADATA_BYTES} bytes")
    return merged


def _merge(target: Any, patch: dict[str, Any]) -> dict[str, Any]:
    merged = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = _merge(merged.get(name), value) if isinstance(value, dict) else value
    return merged


def _deeper_than(value: Any, levels: int) -> bool:
    """Level by level, without recursion."""
    layer = [value]
    for _ in range(levels):
        layer = [
            child
            for item in layer
            if isinstance(item, dict | list)
            for child in (item.values() if isinstance(item, dict) else item)
        ]
        if not layer:
            return False
    return True


def _finite(digits: str) -> float:
    """1e999 is valid JSON, and would be kept as the Infinity that is not."""
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError(f"{digits[:20]} is too large")
    return number


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")
