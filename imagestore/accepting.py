"""Which of the newer picture formats a client can show."""


def accept_class(accept: str) -> str:
    """The best picture type that an Accept header names: avif, webp, or nothing.

    A type counts only when it is named (browsers name what they can show; `*/*` alone is what
    tools send) and its weight is not zero (RFC 9110 §12.5.1).
    """
    named = _named_types(accept)
    return next((kind for kind in ("avif", "webp") if f"image/{kind}" in named), "")


def _named_types(accept: str) -> set[str]:
    named = set()
    for element in accept.lower().split(","):
        media_type, *parameters = [part.strip() for part in element.split(";")]
        weights = [p[2:].strip() for p in parameters if p.startswith("q=")]
        if not weights or weights[0].strip("0.") != "":
            named.add(media_type)
    return named
