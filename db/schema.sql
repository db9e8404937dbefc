-- The tables of the image server, for MySQL 8 and MariaDB 10.11 or newer under strict SQL mode.
--
-- MySQL and MariaDB load this file at their first start, and Catalog.prepare() loads it when a table
-- is missing; loading it again changes nothing. tests/contract/test_schema.py holds it and
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
    domain VARBINARY(16) NOT NULL,
    dkey VARBINARY(1020) NULL COMMENT 'NULL: to be made from the hash',
    url VARCHAR(2048) NOT NULL,
    url_md5 CHAR(32) NOT NULL COMMENT 'a url is too long for an index',
    page_url VARCHAR(2048) NULL,
    metadata LONGTEXT NOT NULL COMMENT 'a JSON object',
    callback VARCHAR(2048) NULL,
    flag VARCHAR(16) NOT NULL COMMENT 'created, succeed, failed or warning',
    flag_ext TEXT NULL COMMENT 'the reason of failed and of warning',
    image_id BIGINT NULL,
    attempts INT NOT NULL,
    queued_time DATETIME(3) NULL COMMENT 'when a job was last queued: for the sweeper',
    create_time DATETIME(3) NOT NULL,
    update_time DATETIME(3) NOT NULL,
    PRIMARY KEY (id),
    KEY url_md5 (url_md5),
    KEY flag_id (flag, id),
    KEY flag_queued (flag, queued_time),
    KEY domain_id (domain, id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE IF NOT EXISTS cache_debt (
    image_id BIGINT NOT NULL COMMENT 'its cached record must be published again',
    rev INT NOT NULL COMMENT 'of the newest change that is owed',
    create_time DATETIME(3) NOT NULL,
    PRIMARY KEY (image_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
