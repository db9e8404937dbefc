"""Addresses of pictures, for pages and for other programs. Nothing here asks a server."""

from collections.abc import Callable
from typing import TypedDict, Unpack
from urllib.parse import quote, urlencode

from imagestore.client.naming import Picture, parameters_of
from imagestore.errors import InvalidRequest
from imagestore.rendition import Rendition

Sign = Callable[[str], str]
"""From a path with its query to the same with a signature in it."""


class Wish(TypedDict, total=False):
    """Every parameter that a picture may be asked for with; docs/http-api.md says what they mean."""

    width: int
    height: int
    dpr: float
    fit: str
    enlarge: bool
    gravity: str
    crop: str
    rotate: int
    flip: str
    grayscale: bool
    blur: float
    sharpen: float
    background: str
    format: str
    quality: int
    watermark: str
    watermark_position: str
    watermark_opacity: float
    watermark_scale: float
    watermark_margin: int
    preset: str
    """A name that the server's setting PRESETS gives to some of these."""
    download: str
    """The file name under which a browser saves it."""


class Urls:
    """Builds the addresses of one server's pictures.

    Args:
        server: what comes before the path: `https://img.example.org`, or nothing for addresses that
            are relative to the page's host.
        sign: makes signed addresses, for domains that want them.
    """

    def __init__(self, server: str = "", sign: Sign | None = None) -> None:
        self._server = server.rstrip("/")
        self._sign = sign

    def picture(self, picture: Picture, **wish: Unpack[Wish]) -> str:
        """The address of a picture as it is wished for; without a wish of its original.

        Equal wishes have equal addresses, so that caches on the way hold each picture once.

        Raises:
            InvalidRequest, InvalidParameter: the wish is wrong, or asks for more than the original of
                a picture that is named by domain and dkey.
            InvalidKey: domain or dkey are outside their grammar.
        """
        name = parameters_of(picture)
        texts = {key: _text(value) for key, value in wish.items() if value is not None}
        download = {"download": texts.pop("download")} if "download" in texts else {}
        if "domain" in name:
            if texts:
                raise InvalidRequest("a picture named by domain and dkey has its original only; take its id")
            return self._address(f"/{name['domain']}/{quote(name['dkey'])}", urlencode(download))
        # What a preset stands for only the server knows, and with it whether the rest fits.
        rendition = urlencode(texts) if "preset" in texts else Rendition.from_parameters(texts).key
        return self._address(
            "/image/read", "&".join(filter(None, [urlencode(name), rendition, urlencode(download)]))
        )

    def _address(self, path: str, query: str) -> str:
        target = f"{path}?{query}" if query else path
        return self._server + (self._sign(target) if self._sign else target)


def _text(value: object) -> str:
    """A value as the server's grammar reads it."""
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, float):
        return f"{value:.4f}".rstrip("0").rstrip(".")
    return str(value)
