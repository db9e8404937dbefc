"""Which request handed a task in."""

from peewee import SqliteDatabase


def up(migrator, db):
    comment = "" if isinstance(db, SqliteDatabase) else " COMMENT 'of the request that handed it in'"
    # MySQL has no IF NOT EXISTS here, and commits the statement before its name is noted.
    if "request_id" not in {column.name for column in db.get_columns("image_task")}:
        db.execute_sql(f"ALTER TABLE image_task ADD COLUMN request_id VARCHAR(64) NULL{comment}")
