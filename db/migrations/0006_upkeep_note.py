"""How far a work of upkeep has come."""

from peewee import SqliteDatabase

MYSQL = """
CREATE TABLE IF NOT EXISTS upkeep_note (
    name VARCHAR(32) NOT NULL COMMENT 'of a work that takes longer than a process lives',
    note LONGTEXT NOT NULL COMMENT 'a JSON object: how far it has come',
    update_time DATETIME(3) NOT NULL,
    PRIMARY KEY (name)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin
"""

SQLITE = """
CREATE TABLE upkeep_note (
    name VARCHAR(32) NOT NULL PRIMARY KEY,
    note LONGTEXT NOT NULL,
    update_time DATETIME(3) NOT NULL
)
"""


def up(migrator, db):
    db.execute_sql(SQLITE if isinstance(db, SqliteDatabase) else MYSQL)
