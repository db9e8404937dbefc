-- The tables of the image server, for MySQL 8 and MariaDB 10.11 or newer under strict SQL mode.
--
-- MySQL and MariaDB load this file at their first start, and Catalog.prepare() loads it when they did
-- not come to its end; loading it again changes nothing. tests/contract/test_schema.py holds it and
-- imagestore/models.py together.
--
-- domain and dkey are bytes (UTF-8), since names are compared byte for byte: every utf8mb4
-- collation that both servers have folds trailing spaces, and most fold case and accents too.
-- JSON is kept as text: MySQL's JSON type rounds large numbers, MariaDB's refuses 32 levels.
-- Times are UTC, to the millisecond, and always written by the server's own clock, not by SQL.

CREATE TABLE IF NOT EXISTS image_info (
    id BIGINT NOT NULL AUTO_INCREMENT,
    domain VARBINARY(16) NOT NULL,
    dkey VARBINARY(1020) NOT NULL COMMENT '255 characters of up to 4 bytes',
    user_metadata LONGTEXT NOT NULL COMMENT 'a JSON object',
    image_metadata LONGTEXT NOT NULL COMMENT 'a JSON object',
    md5sum CHAR(32) NOT NULL,
    sha256 CHAR(64) NOT NULL,
    format VARCHAR(8) NOT NULL,
    width INT NOT NULL COMMENT 'pixels, as a viewer sees the picture',
    height INT NOT NULL COMMENT 'pixels, as a viewer sees the picture',
    size BIGINT NOT NULL COMMENT 'bytes',
    rev INT NOT NULL COMMENT 'starts at 1 and grows with every change',
    content_time DATETIME(3) NOT NULL COMMENT 'when the row got its present bytes',
    create_time DATETIME(3) NOT NULL,
    update_time DATETIME(3) NOT NULL,
    PRIMARY KEY (id),
    UNIQUE KEY name (domain, dkey),
    KEY md5sum (md5sum, content_time, id),
    KEY sha256 (sha256, content_time, id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE IF NOT EXISTS image_task (
    id BIGINT NOT NULL AUTO_INCREMENT,
    kind VARCHAR(16) NOT NULL COMMENT 'download, upload or pregenerate',
    domain VARBINARY(16) NOT NULL,
    dkey VARBINARY(1020) NULL COMMENT 'NULL: to be made from the hash',
    url VARCHAR(2048) NOT NULL COMMENT 'empty for an upload',
    url_md5 CHAR(32) NOT NULL COMMENT 'a url is too long for an index',
    host VARCHAR(255) NOT NULL COMMENT 'of the url: for the limits of each host',
    page_url VARCHAR(2048) NULL,
    metadata LONGTEXT NOT NULL COMMENT 'a JSON object',
    overwrite TINYINT(1) NOT NULL COMMENT 'whether other bytes under that name may be replaced',
    callback VARCHAR(2048) NULL,
    flag VARCHAR(16) NOT NULL COMMENT 'created, succeed, failed or warning',
    problem VARCHAR(64) NULL COMMENT 'the machine word of flag_ext',
    flag_ext TEXT NULL COMMENT 'the reason of failed and of warning, and of the last try of created',
    image_id BIGINT NULL,
    sha256 CHAR(64) NULL COMMENT 'of the bytes that came; an upload has them stored already',
    attempts INT NOT NULL,
    deaths INT NOT NULL COMMENT 'how many workers ended in the middle of it',
    duration_ms BIGINT NULL COMMENT 'of the last attempt',
    final_url VARCHAR(2048) NULL COMMENT 'after redirects',
    etag VARCHAR(512) NULL COMMENT 'as the origin gave it',
    last_modified VARCHAR(64) NULL COMMENT 'as the origin gave it',
    progress LONGTEXT NOT NULL COMMENT 'a JSON object, of tasks that take many steps',
    batch CHAR(32) NULL COMMENT 'from the Idempotency-Key: a line of a batch is taken once',
    line INT NULL,
    claim CHAR(16) NULL COMMENT 'of the job that works on it now',
    queued_time DATETIME(3) NULL COMMENT 'when its job was queued; NULL while none is',
    due_time DATETIME(3) NULL COMMENT 'when the sweeper must look at it; NULL once it has ended',
    callback_flag VARCHAR(16) NULL COMMENT 'waiting, delivered or failed',
    callback_problem VARCHAR(64) NULL,
    callback_attempts INT NOT NULL,
    callback_queued TINYINT(1) NOT NULL,
    callback_due DATETIME(3) NULL,
    create_time DATETIME(3) NOT NULL,
    update_time DATETIME(3) NOT NULL,
    end_time DATETIME(3) NULL COMMENT 'when it got a flag other than created',
    key_id VARCHAR(64) NULL COMMENT 'of the caller who handed it in',
    request_id VARCHAR(64) NULL COMMENT 'of the request that handed it in',
    PRIMARY KEY (id),
    UNIQUE KEY batch_line (batch, line),
    KEY url_md5 (url_md5),
    KEY flag_problem (flag, problem, id),
    KEY flag_id (flag, id),
    KEY flag_due (flag, kind, due_time),
    KEY flag_queued (flag, queued_time, host),
    KEY callback_due (callback_flag, callback_due),
    KEY domain_flag (domain, flag, id),
    KEY sha256 (sha256)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE IF NOT EXISTS task_count (
    domain VARBINARY(16) NOT NULL,
    flag VARCHAR(16) NOT NULL,
    reason VARCHAR(64) NOT NULL COMMENT 'the problem, or empty; of created ones the kind',
    shard INT NOT NULL COMMENT 'one of the rows that share a number',
    tasks BIGINT NOT NULL COMMENT 'a share of it, below zero too: the sum is how many there are',
    PRIMARY KEY (domain, flag, reason, shard)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE IF NOT EXISTS cache_debt (
    image_id BIGINT NOT NULL COMMENT 'its cached record must be published again',
    rev INT NOT NULL COMMENT 'of the newest change that is owed',
    create_time DATETIME(3) NOT NULL,
    PRIMARY KEY (image_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

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
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE IF NOT EXISTS domain_usage (
    domain VARBINARY(16) NOT NULL,
    images BIGINT NOT NULL,
    bytes BIGINT NOT NULL COMMENT 'of all originals, each image counted',
    max_images BIGINT NULL COMMENT 'NULL: as the settings say',
    max_bytes BIGINT NULL COMMENT 'NULL: as the settings say',
    PRIMARY KEY (domain)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

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
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE IF NOT EXISTS upkeep_note (
    name VARCHAR(32) NOT NULL COMMENT 'of a work that takes longer than a process lives',
    note LONGTEXT NOT NULL COMMENT 'a JSON object: how far it has come',
    update_time DATETIME(3) NOT NULL,
    PRIMARY KEY (name)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

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
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- Last: while it is missing, the tables above are not all there. These tables are as the files of
-- db/migrations make them, so each file's name goes into it here, in an INSERT IGNORE.
CREATE TABLE IF NOT EXISTS schema_migration (
    id INT NOT NULL AUTO_INCREMENT,
    name VARCHAR(255) NOT NULL,
    applied DATETIME NOT NULL,
    PRIMARY KEY (id),
    UNIQUE KEY name (name)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

INSERT IGNORE INTO schema_migration (name, applied) VALUES
    ('0001_api_key', UTC_TIMESTAMP()),
    ('0002_domain_usage', UTC_TIMESTAMP()),
    ('0003_domain_usage_rows', UTC_TIMESTAMP()),
    ('0004_audit_log', UTC_TIMESTAMP()),
    ('0005_image_task_key_id', UTC_TIMESTAMP()),
    ('0006_upkeep_note', UTC_TIMESTAMP()),
    ('0007_upload_token', UTC_TIMESTAMP()),
    ('0008_image_task_request_id', UTC_TIMESTAMP()),
    ('0009_image_task_flag_id', UTC_TIMESTAMP()),
    ('0010_task_count', UTC_TIMESTAMP()),
    ('0011_task_count_rows', UTC_TIMESTAMP()),
    ('0012_image_task_domain_flag', UTC_TIMESTAMP());
