"""Counts what is there. Servers of the version before do not count what they change, so that after a
rolling upgrade `imagestore quota recount` puts that right."""

FILL = """
REPLACE INTO domain_usage (domain, images, bytes)
SELECT domain, COUNT(*), SUM(size) FROM image_info GROUP BY domain
"""


def up(migrator, db):
    db.execute_sql(FILL)
