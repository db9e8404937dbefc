"""What each domain holds, and its quota."""

from peewee import SqliteDatabase

MYSQL = """
CREATE TABLE IF NOT EXISTS domain_usage (
    domain VARBINARY(16) NOT NULL,
    images BIGINT NOT NULL,
    bytes BIGINT NOT NULL COMMENT 'of all originals, each image counted',
    max_images BIGINT NULL COMMENT 'NULL: as the settings say',
    max_bytes BIGINT NULL COMMENT 'NULL: as the settings say',
    PRIMARY KEY (domain)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin
"""

SQLITE = (
    """
    CREATE TABLE domain_usage (
        domain VARBINARY(16) NOT NULL PRIMARY KEY,
        images INTEGER NOT NULL,
        bytes INTEGER NOT NULL,
        max_images INTEGER,
        max_bytes INTEGER
    )
    """,
)


def up(migrator, db):
    for statement in SQLITE if isinstance(db, SqliteDatabase) else (MYSQL,):
        db.execute_sql(statement)
