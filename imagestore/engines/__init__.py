"""The contract of the engines: one picture in, one picture out, in a process that may be killed.

An engine is a module with the functions of `Engine`. It is only ever called in a child process of
`render.py`, never in an API process: libraries that decode strangers' bytes abort, exit and hang.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from imagestore.errors import ImagestoreError
from imagestore.records import Facts, Picture
from imagestore.rendition import Rendition
from imagestore.settings import Encoding


@dataclass(frozen=True, slots=True)
class Mark:
    """A watermark with everything about it settled: no field is left to a default.

    `position` is a compass name or `tile`; `opacity` 0.01 to 1; `scale` the mark's width as a part
    of the picture's width (0.01 to 1), or None for its own size, shrunk where it would not fit;
    `margin` in pixels from the edges (between the tiles for `tile`).
    """

    path: Path
    facts: Facts
    position: str
    opacity: float
    scale: float | None
    margin: int


@dataclass(frozen=True, slots=True)
class Wish:
    """One picture that is wanted of an original."""

    rendition: Rendition
    mark: Mark | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """What became of several wishes, in their order: pictures, and errors as `Engine.render` raises
    them; and how many times the original was decoded for all."""

    results: tuple[Picture | ImagestoreError, ...]
    decodes: int


@dataclass(frozen=True, slots=True)
class Inspection:
    """What is told of a picture besides its `Facts`, as JSON values, and its small base picture
    (`smallbase.py`) if one was wanted and the check had it at hand."""

    seen: Mapping[str, Any] = field(default_factory=dict)
    base: Picture | None = None


class Engine(Protocol):
    """What `render.py` asks of an engine."""

    NAME: str
    READS: frozenset[str]
    """Formats that it decodes, in the words of `records.CONTENT_TYPES`."""

    def inspect(self, source: Path, facts: Facts, *, with_base: bool = False) -> Inspection:
        """Decode every coded byte of every frame, and give what else is worth knowing:
        `colorspace`, `bits`, `has_profile`, and `exif` (camera, exposure and date; never a place).

        Raises:
            ImageInvalid: it is cut short, broken, or its size is not the one in `facts`.
            MemoryError: it takes more memory than there may be; the process is good for nothing
                after that, since not all of it comes back.
        """

    def render(
        self, source: Path, facts: Facts, rendition: Rendition, mark: Mark | None, encoding: Encoding
    ) -> Picture:
        """The picture that `rendition` describes, without metadata, in sRGB (grey stays grey).

        Raises:
            ImageInvalid: the original cannot be decoded.
            InvalidParameter: `crop` lies outside this picture, or an animation would be too large.
            UnsupportedMediaType: the watermark is of a format that this engine does not read.
            MemoryError: as above.
        """

    def render_all(self, source: Path, facts: Facts, wishes: Sequence[Wish], encoding: Encoding) -> Batch:
        """The same for several wishes at once, from as few decodes as memory allows: mostly one.

        Raises:
            MemoryError: as above.
        """
