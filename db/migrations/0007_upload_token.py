"""Leave to upload one picture without a key."""

from peewee import SqliteDatabase

MYSQL = """
CREATE TABLE IF NOT EXISTS upload_token (
    id BIGINT NOT NULL AUTO_INCREMENT,
    digest CHAR(64) NOT NULL COMMENT 'sha256 of the secret, which is kept nowhere',
    key_id VARCHAR(64) NOT NULL COMMENT 'of the caller who asked for it',
    domain VARBINARY(16) NOT NULL,
    dkey VARBINARY(1020) NULL COMMENT 'NULL: to be made from the hash',
    overwrite TINYINT(1) NOT NULL COMMENT 'whether other bytes under that name may be replaced',
    max_bytes BIGINT NULL COMMENT 'NULL: as the settings say',
    formats VARCHAR(255) NOT NULL COMMENT 'separated by blanks; empty: all',
    tries INT NOT NULL COMMENT 'uploads that began with it',
    use_time DATETIME(3) NULL COMMENT 'while it is used, and once it is spent',
    create_time DATETIME(3) NOT NULL,
    expire_time DATETIME(3) NOT NULL,
    PRIMARY KEY (id),
    UNIQUE KEY digest (digest),
    KEY expire_time (expire_time),
    KEY key_id (key_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin
"""

SQLITE = (
    """
    CREATE TABLE upload_token (
        id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
        digest CHAR(64) NOT NULL,
        key_id VARCHAR(64) NOT NULL,
        domain VARBINARY(16) NOT NULL,
        dkey VARBINARY(1020),
        overwrite INTEGER NOT NULL,
        max_bytes INTEGER,
        formats VARCHAR(255) NOT NULL,
        tries INTEGER NOT NULL,
        use_time DATETIME(3),
        create_time DATETIME(3) NOT NULL,
        expire_time DATETIME(3) NOT NULL
    )
    """,
    "CREATE UNIQUE INDEX uploadtoken_digest ON upload_token (digest)",
    "CREATE INDEX uploadtoken_expire_time ON upload_token (expire_time)",
    "CREATE INDEX uploadtoken_key_id ON upload_token (key_id)",
)


def up(migrator, db):
    for statement in SQLITE if isinstance(db, SqliteDatabase) else (MYSQL,):
        db.execute_sql(statement)
