"""Counts what is there. Servers of the version before do not count what they change, so that after a
rolling upgrade `imagestore quota recount` puts that right."""

COUNT = "SELECT domain, COUNT(*), SUM(size) FROM image_info GROUP BY domain"


def up(migrator, db):
    # Read first: REPLACE ... SELECT would lock every row that it counts against servers that work.
    for domain, images, size in db.execute_sql(COUNT).fetchall():
        values = ", ".join([db.param] * 3)
        db.execute_sql(
            f"REPLACE INTO domain_usage (domain, images, bytes) VALUES ({values})",  # noqa: S608 - placeholders
            (domain, images, int(size)),
        )
