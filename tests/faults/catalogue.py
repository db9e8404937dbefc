"""The faults, one line each: what breaks, for how long, and what must not notice."""

from collections.abc import Set
from dataclasses import dataclass

from tests.faults import harms
from tests.faults.harms import Harm
from tests.faults.journal import CACHED, COLD, KINDS

NOTHING: Set[str] = frozenset()
ONLY_CACHED: Set[str] = frozenset([CACHED])
READS: Set[str] = frozenset([CACHED, COLD])
ALL: Set[str] = frozenset(KINDS)


@dataclass(frozen=True)
class Fault:
    """One or two harms at once."""

    harms: tuple[Harm, ...]
    held_s: float
    """From the break until it is mended."""
    unharmed: Set[str] = NOTHING
    """Kinds of requests that go on without one failure (promises §20)."""
    cuts: bool = False
    """Whether clients may lose their connection: nginx itself dies."""

    @property
    def name(self) -> str:
        return " + ".join(harm.name for harm in self.harms)


def _one(harm: Harm, held_s: float, unharmed: Set[str] = NOTHING, *, cuts: bool = False) -> Fault:
    return Fault((harm,), held_s, unharmed, cuts)


def _pair(
    one: Harm, other: Harm, held_s: float, unharmed: Set[str] = NOTHING, *, cuts: bool = False
) -> Fault:
    return Fault((one, other), held_s, unharmed, cuts)


PROCESSES = (
    _one(harms.API_PROCESS, 1, ONLY_CACHED),
    _one(harms.API_MASTER, 1.5, ONLY_CACHED),
    _one(harms.DECODERS, 0.5, ALL),
    _one(harms.FORK_SERVER, 0.5, ALL),
    _one(harms.WORK_HORSE, 1, ALL),
    _one(harms.WORKER, 1, ALL),
    _one(harms.NGINX_PROCESS, 1, cuts=True),
    _one(harms.NGINX_MASTER, 1, cuts=True),
    _one(harms.NGINX, 1.5, cuts=True),
    _one(harms.REDIS, 2, ALL),
    _one(harms.REDIS_HUNG, 3, ALL),
    _one(harms.MARIADB, 2, ONLY_CACHED),
    _one(harms.MARIADB_HUNG, 5, ONLY_CACHED),
    _pair(harms.API_PROCESS, harms.REDIS, 1.5),
    _pair(harms.API_MASTER, harms.REDIS_HUNG, 2),
    _pair(harms.API_MASTER, harms.MARIADB, 1.5, ONLY_CACHED),
    _pair(harms.API_PROCESS, harms.NGINX_PROCESS, 1, cuts=True),
    _pair(harms.REDIS, harms.MARIADB, 2),
    _pair(harms.REDIS_HUNG, harms.MARIADB_HUNG, 4),
    _pair(harms.WORK_HORSE, harms.REDIS, 1.5, ALL),
    _pair(harms.WORKER, harms.MARIADB, 1.5, ONLY_CACHED),
    _pair(harms.NGINX, harms.REDIS, 1.5, cuts=True),
    _pair(harms.DECODERS, harms.REDIS_HUNG, 0.5),
)
"""On a folder of originals: kills, hangs, and pairs of parts that lean on each other."""

BUCKET = (
    _one(harms.S3_503, 3, ONLY_CACHED),
    _one(harms.S3_HUNG, 6, ONLY_CACHED),
    _pair(harms.S3_HUNG, harms.API_PROCESS, 3, ONLY_CACHED),
    _pair(harms.S3_503, harms.REDIS, 2),
)
"""On S3."""

DISKS = (
    _one(harms.ORIGINALS_FULL, 2, READS),
    _one(harms.SPOOL_FULL, 2, READS),
    _one(harms.AOF_FULL, 3, READS),
    _pair(harms.ORIGINALS_FULL, harms.AOF_FULL, 3, READS),
)
"""Full disks, each of its own."""

CLOCKS = (
    _one(harms.CLOCK_BEHIND, 4, ALL),
    _one(harms.CLOCK_AHEAD, 4, ALL),
    _pair(harms.CLOCK_AHEAD, harms.WORKER, 3, ALL),
)
"""Steps of the wall clock of nginx, API and workers; nobody asks MariaDB's, and Redis knows only spans."""
