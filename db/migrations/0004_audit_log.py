"""Who changed what."""

from peewee import SqliteDatabase

MYSQL = """
CREATE TABLE IF NOT EXISTS audit_log (
    id BIGINT NOT NULL AUTO_INCREMENT,
    create_time DATETIME(3) NOT NULL,
    action VARCHAR(16) NOT NULL COMMENT 'create, replace, edit, delete, key-add, key-revoke or quota',
    key_id VARCHAR(64) NULL COMMENT 'of the caller, or of who handed the task in',
    request_id VARCHAR(64) NULL COMMENT 'or task and its number',
    address VARCHAR(64) NULL COMMENT 'of the client',
    domain VARBINARY(16) NULL,
    image_id BIGINT NULL,
    dkey VARBINARY(1020) NULL,
    sha256_old CHAR(64) NULL COMMENT 'of the bytes before',
    sha256_new CHAR(64) NULL COMMENT 'of the bytes after',
    detail VARCHAR(255) NULL COMMENT 'of changes that are about no image',
    PRIMARY KEY (id),
    KEY create_time (create_time),
    KEY domain_id (domain, id),
    KEY image_id (image_id, id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin
"""

SQLITE = (
    """
    CREATE TABLE audit_log (
        id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
        create_time DATETIME(3) NOT NULL,
        action VARCHAR(16) NOT NULL,
        key_id VARCHAR(64),
        request_id VARCHAR(64),
        address VARCHAR(64),
        domain VARBINARY(16),
        image_id INTEGER,
        dkey VARBINARY(1020),
        sha256_old CHAR(64),
        sha256_new CHAR(64),
        detail VARCHAR(255)
    )
    """,
    "CREATE INDEX auditlog_create_time ON audit_log (create_time)",
    "CREATE INDEX auditlog_domain_id ON audit_log (domain, id)",
    "CREATE INDEX auditlog_image_id_id ON audit_log (image_id, id)",
)


def up(migrator, db):
    for statement in SQLITE if isinstance(db, SqliteDatabase) else (MYSQL,):
        db.execute_sql(statement)
