"""The tables as Peewee models; only the catalogs use them.

The types are those of `db/schema.sql`, which is what MySQL and MariaDB load; SQLite gets its
tables from here. The models know no database: each query is given one to run on.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import peewee


class NameField(peewee.AnyField):
    """Text that is compared byte for byte: kept as the bytes of its UTF-8 form.

    A query may also give bytes, for a bound that is no text.
    """

    field_type = "VARBINARY"

    def __init__(self, max_bytes: int, **options: Any) -> None:
        self.max_bytes = max_bytes
        super().__init__(**options)

    def get_modifiers(self) -> list[int]:
        """The length in brackets."""
        return [self.max_bytes]

    def db_value(self, value: str | bytes | None) -> bytes | None:
        """Text to bytes."""
        return value.encode() if isinstance(value, str) else value

    def python_value(self, value: bytes | None) -> str | None:
        """Bytes to text."""
        return None if value is None else bytes(value).decode()


class ObjectField(peewee.AnyField):
    """A JSON object, kept as its text.

    The servers' own JSON types change what they are given: MySQL's rounds large numbers, MariaDB's
    refuses 32 levels (measured with 10.11: its limit of 32 is for the innermost value).
    """

    field_type = "LONGTEXT"

    def db_value(self, value: Mapping[str, Any]) -> str:
        """A mapping to JSON text; NaN is no JSON (RFC 8259 §6) and raises ValueError."""
        return json.dumps(dict(value), ensure_ascii=False, allow_nan=False, separators=(",", ":"))

    def python_value(self, value: str) -> Any:
        """JSON text to a dict."""
        return json.loads(value)


class UtcField(peewee.AnyField):
    """A moment in UTC to the millisecond, in one spelling that sorts the same as text and as DATETIME."""

    field_type = "DATETIME(3)"

    def db_value(self, value: datetime | None) -> str | None:
        """An aware datetime to text without a zone."""
        if value is None:
            return None
        return value.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "milliseconds")

    def python_value(self, value: datetime | str | None) -> datetime | None:
        """What the driver gives (SQLite: text; MySQL: a naive datetime) to an aware datetime."""
        if value is None:
            return None
        moment = datetime.fromisoformat(value) if isinstance(value, str) else value
        return moment.replace(tzinfo=UTC)


def moment() -> datetime:
    """Now, in whole milliseconds, as the database gives it back."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


class IdField(peewee.BigAutoField):
    """A number that the database gives and never gives again, also after the newest row is gone."""

    def ddl(self, ctx: Any) -> peewee.NodeList:
        """SQLite numbers its rows by itself, but reuses the highest id unless AUTOINCREMENT is said."""
        column = super().ddl(ctx)
        if ctx.state.field_types[self.field_type] == "INTEGER":
            column.nodes.append(peewee.SQL("AUTOINCREMENT"))
        return column


class ImageInfo(peewee.Model):
    """One image under one name."""

    id = IdField()
    domain = NameField(16)
    dkey = NameField(4 * 255)
    user_metadata = ObjectField()
    image_metadata = ObjectField()
    md5sum = peewee.FixedCharField(32)
    sha256 = peewee.FixedCharField(64)
    format = peewee.CharField(8)
    width = peewee.IntegerField()
    height = peewee.IntegerField()
    size = peewee.BigIntegerField()
    rev = peewee.IntegerField()
    content_time = UtcField()
    create_time = UtcField()
    update_time = UtcField()

    class Meta:
        table_name = "image_info"
        indexes = (
            (("domain", "dkey"), True),
            (("md5sum", "content_time", "id"), False),
            (("sha256", "content_time", "id"), False),
        )


class ImageTask(peewee.Model):
    """One thing to be done later, with its outcome."""

    id = IdField()
    kind = peewee.CharField(16)
    domain = NameField(16)
    dkey = NameField(4 * 255, null=True)
    url = peewee.CharField(2048)
    url_md5 = peewee.FixedCharField(32)
    host = peewee.CharField(255)
    page_url = peewee.CharField(2048, null=True)
    metadata = ObjectField()
    overwrite = peewee.BooleanField()
    callback = peewee.CharField(2048, null=True)
    flag = peewee.CharField(16)
    problem = peewee.CharField(64, null=True)
    flag_ext = peewee.TextField(null=True)
    image_id = peewee.BigIntegerField(null=True)
    sha256 = peewee.FixedCharField(64, null=True)
    attempts = peewee.IntegerField()
    deaths = peewee.IntegerField()
    duration_ms = peewee.BigIntegerField(null=True)
    final_url = peewee.CharField(2048, null=True)
    etag = peewee.CharField(512, null=True)
    last_modified = peewee.CharField(64, null=True)
    progress = ObjectField()
    batch = peewee.FixedCharField(32, null=True)
    line = peewee.IntegerField(null=True)
    claim = peewee.FixedCharField(16, null=True)
    queued_time = UtcField(null=True)
    due_time = UtcField(null=True)
    callback_flag = peewee.CharField(16, null=True)
    callback_problem = peewee.CharField(64, null=True)
    callback_attempts = peewee.IntegerField()
    callback_queued = peewee.BooleanField()
    callback_due = UtcField(null=True)
    create_time = UtcField()
    update_time = UtcField()
    end_time = UtcField(null=True)
    key_id = peewee.CharField(64, null=True)
    request_id = peewee.CharField(64, null=True)

    class Meta:
        table_name = "image_task"
        indexes = (
            (("batch", "line"), True),
            (("url_md5",), False),
            (("flag", "problem", "id"), False),
            (("flag", "id"), False),
            (("flag", "kind", "due_time"), False),
            (("flag", "queued_time", "host"), False),
            (("callback_flag", "callback_due"), False),
            (("domain", "flag", "id"), False),
            (("sha256",), False),
        )


class TaskCount(peewee.Model):
    """A share of how many tasks of a domain have a flag and a reason."""

    domain = NameField(16)
    flag = peewee.CharField(16)
    reason = peewee.CharField(64)
    shard = peewee.IntegerField()
    tasks = peewee.BigIntegerField()

    class Meta:
        table_name = "task_count"
        primary_key = peewee.CompositeKey("domain", "flag", "reason", "shard")


class CacheDebt(peewee.Model):
    """An image whose cached record could not be withdrawn before a change."""

    image_id = peewee.BigIntegerField(primary_key=True)
    rev = peewee.IntegerField()
    create_time = UtcField()

    class Meta:
        table_name = "cache_debt"


class ApiKey(peewee.Model):
    """A key that was made at run time; its secret is kept nowhere."""

    id = IdField()
    name = peewee.CharField(64)
    digest = peewee.FixedCharField(64)
    rights = peewee.CharField(8)
    domains = peewee.TextField(null=True)
    create_time = UtcField()
    use_time = UtcField(null=True)
    expire_time = UtcField(null=True)
    revoke_time = UtcField(null=True)

    class Meta:
        table_name = "api_key"
        indexes = ((("digest",), True),)


class DomainUsage(peewee.Model):
    """What a domain holds, and its quota where it has one of its own."""

    domain = NameField(16, primary_key=True)
    images = peewee.BigIntegerField()
    bytes = peewee.BigIntegerField()
    max_images = peewee.BigIntegerField(null=True)
    max_bytes = peewee.BigIntegerField(null=True)

    class Meta:
        table_name = "domain_usage"


class AuditLog(peewee.Model):
    """One change, and who made it."""

    id = IdField()
    create_time = UtcField()
    action = peewee.CharField(16)
    key_id = peewee.CharField(64, null=True)
    request_id = peewee.CharField(64, null=True)
    address = peewee.CharField(64, null=True)
    domain = NameField(16, null=True)
    image_id = peewee.BigIntegerField(null=True)
    dkey = NameField(4 * 255, null=True)
    sha256_old = peewee.FixedCharField(64, null=True)
    sha256_new = peewee.FixedCharField(64, null=True)
    detail = peewee.CharField(255, null=True)

    class Meta:
        table_name = "audit_log"
        indexes = ((("create_time",), False), (("domain", "id"), False), (("image_id", "id"), False))


class UpkeepNote(peewee.Model):
    """How far a work of upkeep has come that takes longer than a process lives."""

    name = peewee.CharField(32, primary_key=True)
    note = ObjectField()
    update_time = UtcField()

    class Meta:
        table_name = "upkeep_note"


class UploadToken(peewee.Model):
    """Leave to upload one picture; its secret is kept nowhere."""

    id = IdField()
    digest = peewee.FixedCharField(64)
    key_id = peewee.CharField(64)
    domain = NameField(16)
    dkey = NameField(4 * 255, null=True)
    overwrite = peewee.BooleanField()
    max_bytes = peewee.BigIntegerField(null=True)
    formats = peewee.CharField(255)
    tries = peewee.IntegerField()
    use_time = UtcField(null=True)
    create_time = UtcField()
    expire_time = UtcField()

    class Meta:
        table_name = "upload_token"
        indexes = ((("digest",), True), (("expire_time",), False), (("key_id",), False))


TABLES: tuple[type[peewee.Model], ...] = (
    *(ImageInfo, ImageTask, TaskCount, CacheDebt),
    *(ApiKey, DomainUsage, AuditLog, UpkeepNote, UploadToken),
)


def create_tables(database: peewee.Database) -> None:
    """Create in `database` what is missing of the tables and their indexes."""
    for model in TABLES:
        peewee.SchemaManager(model, database).create_all()
