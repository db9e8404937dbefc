"""Changes of the tables from version to version: `db/migrations/NNNN_name.py`, each applied once.

playhouse.migrations keeps the names of those that were applied in a table, which is made last: where
it is missing, the database is new, or its first start was cut off.

A change that a version makes is in three places: a file here for databases that exist, db/schema.sql
(with the file's name in its last statement) and the models for new ones. MySQL and MariaDB commit
every statement that defines something by itself, so a file holds one such statement; a version reads
and writes the tables of the version before too, since replicas are replaced one by one.
"""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from playhouse.migrations import Runner

MIGRATIONS = Path(__file__).resolve().parent.parent / "db" / "migrations"

HISTORY = "schema_migration"

log = logging.getLogger(__name__)


def still_to_apply(database: Any, folder: Path) -> list[str] | None:
    """The changes in `folder` that the database has not had; None while it has no tables. Changes nothing."""
    runner = Runner(database, directory=str(folder), table_name=HISTORY)
    if not runner.History.table_exists():
        return None
    return [change.name for change in runner.status() if change.path and not change.applied]


def bring_up_to_date(database: Any, folder: Path, create: Callable[[Any], object]) -> list[str]:
    """Apply what of `folder` the database has not had; gives the names. A new one is filled by `create`.

    The caller sees to it that no other process does the same at the same time.
    """
    runner = Runner(database, directory=str(folder), table_name=HISTORY)
    if not runner.History.table_exists():
        create(database)
        runner.fake()
        return []
    applied = list(runner.up())
    for name in applied:
        log.info("the database was changed by migration %s", name)
    return applied
