"""Pages of a domain's tasks with one flag; those of any flag are read from the same index."""

from peewee import SqliteDatabase

NAME, OLD = "domain_flag", ["domain", "id"]


def up(migrator, db):
    columns = {index.name: index.columns for index in db.get_indexes("image_task")}
    old = [name for name, of in columns.items() if of == OLD]
    if isinstance(db, SqliteDatabase):
        make = f"CREATE INDEX {NAME} ON image_task (domain, flag, id)"
        for statement in (make, *(f"DROP INDEX {name}" for name in old)):
            db.execute_sql(statement)
    elif NAME not in columns:
        # In one statement, which MySQL commits before its name is noted.
        drop = "".join(f", DROP INDEX {name}" for name in old)
        db.execute_sql(f"ALTER TABLE image_task ADD INDEX {NAME} (domain, flag, id){drop}")
