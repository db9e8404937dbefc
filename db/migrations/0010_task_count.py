"""How many tasks there are of each domain, flag and reason."""

from peewee import SqliteDatabase

MYSQL = """
CREATE TABLE IF NOT EXISTS task_count (
    domain VARBINARY(16) NOT NULL,
    flag VARCHAR(16) NOT NULL,
    reason VARCHAR(64) NOT NULL COMMENT 'the problem, or empty; of created ones the kind',
    shard INT NOT NULL COMMENT 'one of the rows that share a number',
    tasks BIGINT NOT NULL COMMENT 'a share of it, below zero too: the sum is how many there are',
    PRIMARY KEY (domain, flag, reason, shard)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin
"""

SQLITE = (
    """
    CREATE TABLE task_count (
        domain VARBINARY(16) NOT NULL,
        flag VARCHAR(16) NOT NULL,
        reason VARCHAR(64) NOT NULL,
        shard INTEGER NOT NULL,
        tasks INTEGER NOT NULL,
        PRIMARY KEY (domain, flag, reason, shard)
    )
    """,
)


def up(migrator, db):
    for statement in SQLITE if isinstance(db, SqliteDatabase) else (MYSQL,):
        db.execute_sql(statement)
