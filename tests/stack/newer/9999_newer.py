"""A change that no version has made yet."""

from peewee import IntegerField


def up(migrator, db):
    migrator.migrate(migrator.add_column("image_info", "newer", IntegerField(default=7)))
