"""How the store of originals is looked after: how soon, how often and how fast."""

from dataclasses import dataclass

from imagestore.environment import Environment


@dataclass(frozen=True, slots=True)
class UpkeepPolicy:
    """How the store of originals is looked after."""

    gc_grace_s: float = 24 * 3600
    """Originals that no row needs are spared until they were put so long ago."""
    gc_interval_s: float = 6 * 3600
    """Between the beginnings of two collections by a worker; 0: none."""
    scrub_bytes_per_s: float = 4 * 1024 * 1024
    """What a worker reads of stored originals, to find damage; 0: nothing. 4 MiB/s is 360 GB a day."""
    scrub_interval_s: float = 24 * 3600
    """Between the beginnings of two rounds of that."""

    @classmethod
    def read(cls, reader: Environment) -> "UpkeepPolicy":
        """The policy that the environment describes; what is wrong with a variable is a fault of `reader`."""
        default = cls()
        return cls(
            gc_grace_s=reader.number("GC_GRACE_S", 60, 10**9, default.gc_grace_s),
            gc_interval_s=reader.number("GC_INTERVAL_S", 0, 10**9, default.gc_interval_s),
            scrub_bytes_per_s=reader.number("SCRUB_BYTES_PER_S", 0, 10**12, default.scrub_bytes_per_s),
            scrub_interval_s=reader.number("SCRUB_INTERVAL_S", 0, 10**9, default.scrub_interval_s),
        )
