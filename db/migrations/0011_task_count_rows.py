"""Counts the tasks that are there. Servers of the version before do not count what they change, so that
after a rolling upgrade the caretaker, or `imagestore fsck --quick --repair`, puts that right."""

COUNT = """
SELECT domain, flag, CASE flag WHEN 'created' THEN kind ELSE COALESCE(problem, '') END AS why, COUNT(*)
FROM image_task GROUP BY domain, flag, why
"""


def up(migrator, db):
    # Read first: REPLACE ... SELECT would lock every row that it counts against servers that work.
    for domain, flag, why, tasks in db.execute_sql(COUNT).fetchall():
        values = ", ".join([db.param] * 5)
        db.execute_sql(
            f"REPLACE INTO task_count (domain, flag, reason, shard, tasks) VALUES ({values})",  # noqa: S608 - placeholders
            (domain, flag, why, 0, tasks),
        )
