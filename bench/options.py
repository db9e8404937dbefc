"""What a run is told: rounds, and the pictures to work on."""

from dataclasses import dataclass
from pathlib import Path

from tests import pictures

MADE_UP = ((1200, 900), (3280, 2460), (4000, 3000))
"""Width and height of the photos that are made up: one is small, two get a large base picture."""


@dataclass(frozen=True, slots=True)
class Options:
    """`seconds` is how long one load of one contestant lasts, `count` how many tasks a round has."""

    folder: Path
    """Where servers keep their files; gone after the run."""
    photos: Path | None
    rounds: int
    seconds: int
    count: int

    def pictures(self) -> list[Path]:
        """All files of the folder of photos, or what `jpegs` gives."""
        return (
            sorted(path for path in self.photos.iterdir() if path.is_file()) if self.photos else self.jpegs()
        )

    def jpegs(self) -> list[Path]:
        """All JPEGs of the folder of photos, or three that are made up."""
        if self.photos:
            return sorted(self.photos.glob("*.jpg"))
        made = []
        for width, height in MADE_UP:
            path = self.folder / f"made-up-{width}.jpg"
            if not path.exists():
                path.write_bytes(pictures.photo(width, height))
            made.append(path)
        return made

    def photo(self) -> bytes:
        """The smallest JPEG of the folder of photos, or a picture of a megapixel that is made up."""
        found = sorted(self.photos.glob("*.jpg"), key=lambda path: path.stat().st_size) if self.photos else []
        return found[0].read_bytes() if found else pictures.photo(1200, 900)
