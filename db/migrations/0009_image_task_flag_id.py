"""Pages of the tasks with one flag, without sorting all of them."""

NAME = "flag_id"


def up(migrator, db):
    # MySQL has no IF NOT EXISTS here, and commits the statement before its name is noted.
    if not any(index.columns == ["flag", "id"] for index in db.get_indexes("image_task")):
        db.execute_sql(f"CREATE INDEX {NAME} ON image_task (flag, id)")
