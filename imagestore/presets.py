"""Named renditions: `PRESETS='thumb=width=300&height=300;card=width=640&format=webp'`.

`preset=thumb` in a read is another spelling of the preset's parameters; further parameters may be
added to it, not changed.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from imagestore.errors import ImagestoreError, InvalidParameter, InvalidRequest
from imagestore.query import parse_query
from imagestore.rendition import Rendition

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}", re.ASCII)

MAX_PRESETS = 32
"""Each is rendered after each upload."""

_ACCEPTS = ("", "image/webp", "image/avif")
"""What clients may name, for presets with `format=auto`."""


@dataclass(frozen=True, slots=True)
class Presets:
    """The presets by name, each as the parameters that it stands for."""

    parameters: Mapping[str, Mapping[str, str]]

    @classmethod
    def parse(cls, text: str) -> "Presets":
        """The presets in a setting; an empty text has none.

        Raises:
            ValueError: with one line that names the preset and its fault.
        """
        found: dict[str, Mapping[str, str]] = {}
        for entry in filter(None, (part.strip() for part in text.split(";"))):
            name, _, query = entry.partition("=")
            if not _NAME.fullmatch(name) or name in found:
                raise ValueError(f"{name[:40]!r} is no name of its own, expected 1 to 32 of a-z 0-9 _ -")
            try:
                parameters = parse_query(query)
                rendition = Rendition.from_parameters(parameters)
            except ImagestoreError as error:
                raise ValueError(f"preset {name!r}: {error.detail}") from error
            if rendition.is_original:
                raise ValueError(f"preset {name!r} has no parameters, expected name=width=300&height=300")
            found[name] = parameters
        if len(found) > MAX_PRESETS:
            raise ValueError(f"there are {len(found)} presets, expected at most {MAX_PRESETS}")
        return cls(found)

    @property
    def renditions(self) -> tuple[Rendition, ...]:
        """What is to be rendered ahead: each preset, in all forms that `format=auto` can take."""
        wishes = [Rendition.from_parameters(parameters) for parameters in self.parameters.values()]
        return tuple(dict.fromkeys(wish.negotiated(accept) for wish in wishes for accept in _ACCEPTS))

    def resolve(self, parameters: Mapping[str, str]) -> Mapping[str, str]:
        """`parameters` with what `preset` stands for in its place.

        Raises:
            InvalidParameter: there is no such preset.
            InvalidRequest: a parameter of the preset is given too.
        """
        if "preset" not in parameters:
            return parameters
        name = parameters["preset"]
        if name not in self.parameters:
            raise InvalidParameter("preset", f"preset is {name[:40]!r}, expected one of {self._names()}")
        own = {key: value for key, value in parameters.items() if key != "preset"}
        for key in own.keys() & self.parameters[name].keys():
            raise InvalidRequest(f"parameter {key!r} is given beside preset {name!r}, which has it already")
        return {**self.parameters[name], **own}

    def _names(self) -> str:
        return ", ".join(sorted(self.parameters)) or "none (no presets are configured)"
