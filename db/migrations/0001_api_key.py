"""API keys that are made at run time."""

from peewee import SqliteDatabase

MYSQL = """
CREATE TABLE IF NOT EXISTS api_key (
    id BIGINT NOT NULL AUTO_INCREMENT,
    name VARCHAR(64) NOT NULL,
    digest CHAR(64) NOT NULL COMMENT 'sha256 of the secret, which is kept nowhere',
    rights VARCHAR(8) NOT NULL COMMENT 'read, write or admin; each includes those before it',
    domains TEXT NULL COMMENT 'separated by blanks; NULL: all',
    create_time DATETIME(3) NOT NULL,
    use_time DATETIME(3) NULL COMMENT 'of the last use, to ten minutes',
    expire_time DATETIME(3) NULL,
    revoke_time DATETIME(3) NULL,
    PRIMARY KEY (id),
    UNIQUE KEY digest (digest)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin
"""

SQLITE = (
    """
    CREATE TABLE api_key (
        id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
        name VARCHAR(64) NOT NULL,
        digest CHAR(64) NOT NULL,
        rights VARCHAR(8) NOT NULL,
        domains TEXT,
        create_time DATETIME(3) NOT NULL,
        use_time DATETIME(3),
        expire_time DATETIME(3),
        revoke_time DATETIME(3)
    )
    """,
    "CREATE UNIQUE INDEX apikey_digest ON api_key (digest)",
)


def up(migrator, db):
    for statement in SQLITE if isinstance(db, SqliteDatabase) else (MYSQL,):
        db.execute_sql(statement)
