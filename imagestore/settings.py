"""Every knob, read once from the environment by an entrance and passed down from there."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from imagestore.apikeys import ApiKey, configured_keys
from imagestore.domainrules import DomainRules
from imagestore.environment import Environment
from imagestore.fetchpolicy import FetchPolicy
from imagestore.ledger import UNLIMITED, Quota
from imagestore.logs import FORMATS, Format
from imagestore.presets import Presets
from imagestore.redisurl import check_redis_url
from imagestore.signing import Signing
from imagestore.upkeeppolicy import UpkeepPolicy
from imagestore.variants import Variants

MIB = 1024 * 1024


class InvalidSettings(ValueError):
    """One or more variables are outside their range; the message lists all of them, a line each."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one picture may cost (promises: table of problems, lines 1 to 5)."""

    max_upload_bytes: int = 32 * MIB
    max_pixels: int = 50_000_000
    """Pixels of one frame."""
    max_side: int = 16_383
    """Pixels; also the longest side that WebP and libvips' JPEG loader agree on."""
    max_frames: int = 256
    max_total_pixels: int = 100_000_000
    """Pixels of all frames together."""
    render_timeout_s: float = 10
    """Wall clock of one decode or one render; the child is killed then."""
    render_memory_bytes: int = 1024 * MIB
    """Address space that one child may take on top of what it has when idle."""


@dataclass(frozen=True, slots=True)
class Encoding:
    """Defaults of the encoders; a request's `quality` goes before the one here."""

    jpeg_quality: int = 82
    webp_quality: int = 80
    avif_quality: int = 55
    webp_effort: int = 2
    """0 to 6; 2 takes 0.84 of the time of libvips' default 4 (docs/performance.md)."""
    avif_effort: int = 1
    """0 to 9; between 2 and 0, which take 0.15 and 0.05 of the default's time."""


@dataclass(frozen=True)
class Settings:
    """The settings of one process. Secrets are kept out of `repr`."""

    data_dir: Path
    database_url: str = field(repr=False)
    redis_url: str = field(repr=False)
    storage_url: str = field(repr=False)
    storage_fallback_url: str = field(repr=False, default="")
    """The store that originals are moved away from; read where `storage_url` lacks one."""
    api_keys: tuple[ApiKey, ...] = field(repr=False, default=())
    dashboard_login: str = field(repr=False, default="")
    """`user:password` of the queue dashboard, which does not start without."""
    image_engine: str = "auto"
    render_processes: int = 1
    """Renders at once on this machine, over all processes; as many as there are cores."""
    render_queue: int = 64
    """Renders that may wait for a core in one process; more get `overloaded`."""
    render_queue_timeout_s: float = 4
    """How long a render may wait for a core before it gets `overloaded`."""
    cache_ttl_s: int = 7 * 24 * 3600
    """Life of a picture in Redis since it was written."""
    record_ttl_s: int = 3600
    """Life of a record in Redis since it was written."""
    cache_original_max_bytes: int = 256 * 1024
    """Originals up to this size are kept in Redis too; 0 keeps none."""
    base_min_pixels: int = 7_500_000
    """Originals from so many pixels on get a base picture (`bases.py`); 0: none does. At 6 megapixels
    it saves a third, at 8 two thirds of the time of a 300 px picture (docs/cache.md)."""
    small_bases_max: int = 300
    """Last uploads whose small base picture is kept, of some 100 KB each (`bases.py`); 0: none is."""
    cache_fields_max: int = 64
    """Pictures kept per original in Redis; one at random makes room for a new one."""
    cache_pictures_max_bytes: int = 16 * MIB
    """Bytes of them together, so that nobody who asks for all sizes of one fills Redis with it."""
    database_pool: int = 16
    """Database connections of one process at most."""
    public_max_age_s: int = 10
    """`max-age` of answers by id and by name, which a replace may change."""
    cross_origin_resource_policy: str = "cross-origin"
    """Value of that header on pictures: who may embed them (Fetch standard §3.7)."""
    limits: Limits = Limits()
    encoding: Encoding = Encoding()
    queue_url: str = field(repr=False, default="")
    """The Redis that holds the queue; `redis_url` unless it is set."""
    worker_processes: int = 8
    """Jobs at once of one `python -m worker`; downloads mostly wait for other servers."""
    log_format: Format = "text"
    worker_metrics_port: int = 0
    """Where a worker shows its counters and its health; 0: nowhere."""
    fetch: FetchPolicy = field(default_factory=FetchPolicy)
    task_attempts: int = 5
    """Tries of a task that may pass; the last one's reason is the task's."""
    task_retry_s: float = 2
    """Pause before the second try; each further one is four times as long."""
    task_lease_s: float = 20
    """A worker that is not heard of for this long is taken for dead, and its task starts over."""
    callback_secret: str = field(repr=False, default="")
    """`whsec_` and 24 to 64 bytes in base64; made in the data directory when it is not set."""
    callback_retry_s: float = 60
    """Unit of the pauses between tries of a callback: 1, 4, 15, 45 and 120 of them."""
    quota: Quota = UNLIMITED
    """Of every domain that has none of its own."""
    rate_per_key: float = 1000
    """Requests a second of each API key; 0 is no limit."""
    upload_origins: tuple[str, ...] = ()
    """Origins whose pages may upload with a token; `*` is all of them."""
    audit_days: int = 365
    """Entries of the audit log are kept for so long."""
    upkeep: UpkeepPolicy = field(default_factory=UpkeepPolicy)
    presets: Presets = field(default_factory=lambda: Presets({}))
    signing: Signing = field(default_factory=Signing)
    """Which domains give pictures by signed URLs only."""
    variants: DomainRules[Variants] = field(default_factory=lambda: DomainRules(Variants(), {}))
    """Which renditions of a domain's pictures can be had."""

    @property
    def spool_dir(self) -> Path:
        """Where uploads wait until they are stored; on the same file system as a local store, so
        that storing is a link and not a copy."""
        return self.data_dir / "spool"

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> "Settings":
        """The settings that the environment describes (docs/settings.md lists the variables).

        Raises:
            InvalidSettings: with one line for each variable that is wrong.
        """
        reader = _Reader(env)
        settings = cls._read(reader)
        if not settings.signing.keys and any(rule.kind == "signed" for rule in settings.variants.all):
            reader.faults.append("VARIANTS has a rule 'signed', but SIGNING_KEYS has no key")
        if reader.faults:
            raise InvalidSettings("\n".join(reader.faults))
        return settings

    @classmethod
    def _read(cls, reader: "_Reader") -> "Settings":
        data_dir = Path(reader.text("DATA_DIR", "var")).absolute()
        redis_url = reader.redis("REDIS_URL", "redis://127.0.0.1:6379/0")
        return cls(
            data_dir=data_dir,
            database_url=reader.text("DATABASE_URL", f"sqlite:///{data_dir}/imagestore.db"),
            redis_url=redis_url,
            storage_url=reader.text("STORAGE_URL", str(data_dir / "originals")),
            storage_fallback_url=reader.text("STORAGE_FALLBACK_URL", ""),
            api_keys=configured_keys(reader, data_dir),
            dashboard_login=reader.text("DASHBOARD_LOGIN", ""),
            image_engine=reader.choice("IMAGE_ENGINE", ("auto", "wand"), "auto"),
            render_processes=reader.integer("RENDER_PROCESSES", 1, 256, os.cpu_count() or 1),
            render_queue=reader.integer("RENDER_QUEUE", 1, 100_000, 64),
            render_queue_timeout_s=reader.number("RENDER_QUEUE_TIMEOUT_S", 0.1, 60, 4),
            cache_ttl_s=reader.integer("CACHE_TTL_S", 1, 10**9, cls.cache_ttl_s),
            record_ttl_s=reader.integer("RECORD_TTL_S", 1, 10**9, cls.record_ttl_s),
            cache_original_max_bytes=reader.integer(
                "CACHE_ORIGINAL_MAX_BYTES", 0, 64 * MIB, cls.cache_original_max_bytes
            ),
            base_min_pixels=reader.integer("BASE_MIN_PIXELS", 0, 10**9, cls.base_min_pixels),
            small_bases_max=reader.integer("SMALL_BASES_MAX", 0, 10**6, cls.small_bases_max),
            cache_fields_max=reader.integer("CACHE_FIELDS_MAX", 1, 10_000, cls.cache_fields_max),
            cache_pictures_max_bytes=reader.integer(
                "CACHE_PICTURES_MAX_BYTES", 8 * MIB, 2**40, cls.cache_pictures_max_bytes
            ),
            database_pool=reader.integer("DATABASE_POOL", 1, 1000, cls.database_pool),
            public_max_age_s=reader.integer("PUBLIC_MAX_AGE_S", 0, 10**9, cls.public_max_age_s),
            cross_origin_resource_policy=reader.embedders(),
            limits=reader.limits(),
            encoding=reader.encoding(),
            queue_url=reader.redis("QUEUE_URL", redis_url),
            worker_processes=reader.integer("WORKER_PROCESSES", 1, 256, cls.worker_processes),
            log_format=reader.choice("LOG_FORMAT", FORMATS, cls.log_format),
            worker_metrics_port=reader.integer("WORKER_METRICS_PORT", 0, 65_535, cls.worker_metrics_port),
            fetch=FetchPolicy.read(reader),
            task_attempts=reader.integer("TASK_ATTEMPTS", 1, 100, cls.task_attempts),
            task_retry_s=reader.number("TASK_RETRY_S", 0.01, 3600, cls.task_retry_s),
            task_lease_s=reader.number("TASK_LEASE_S", 1, 600, cls.task_lease_s),
            callback_secret=reader.callback_secret(),
            callback_retry_s=reader.number("CALLBACK_RETRY_S", 0.01, 3600, cls.callback_retry_s),
            quota=reader.quota(),
            rate_per_key=reader.number("RATE_PER_KEY", 0, 1_000_000, cls.rate_per_key),
            upload_origins=reader.upload_origins(),
            audit_days=reader.integer("AUDIT_DAYS", 1, 36_500, cls.audit_days),
            upkeep=UpkeepPolicy.read(reader),
            presets=reader.presets(),
            signing=reader.signing(),
            variants=reader.variants(),
        )


class _Reader(Environment):
    """The variables that make more than one value."""

    def redis(self, name: str, default: str) -> str:
        url = self.text(name, "")
        if not url:
            return default
        try:
            check_redis_url(url)
        except ValueError as error:
            self.faults.append(f"{name}: {error}")
        return url

    def embedders(self) -> str:
        values = ("cross-origin", "same-site", "same-origin")
        return self.choice("CROSS_ORIGIN_RESOURCE_POLICY", values, "cross-origin")

    def callback_secret(self) -> str:
        secret = self.text("CALLBACK_SECRET", "")
        if secret and not re.fullmatch(r"whsec_[A-Za-z0-9+/]{32,88}={0,2}", secret):
            self.faults.append("CALLBACK_SECRET is not whsec_ with 24 to 64 bytes in base64")
        return secret

    def upload_origins(self) -> tuple[str, ...]:
        origins = tuple(self.words("UPLOAD_ORIGINS"))
        for origin in origins:
            if origin != "*" and not re.fullmatch(r"https?://[a-z0-9.\-\[\]:]+", origin):
                self.faults.append(f"UPLOAD_ORIGINS has {origin[:80]!r}, expected https://host[:port] or *")
        return origins

    def quota(self) -> Quota:
        images, size = (self.integer(name, 0, 10**18, 0) for name in ("QUOTA_IMAGES", "QUOTA_BYTES"))
        return Quota(images or None, size or None)

    def presets(self) -> Presets:
        try:
            return Presets.parse(self.text("PRESETS", ""))
        except ValueError as error:
            self.faults.append(f"PRESETS: {error}")
            return Presets({})

    def signing(self) -> Signing:
        try:
            return Signing.parse(self.text("SIGNING", ""), self.text("SIGNING_KEYS", ""))
        except ValueError as error:
            self.faults.append(f"SIGNING or SIGNING_KEYS: {error}")
            return Signing()

    def variants(self) -> DomainRules[Variants]:
        try:
            return DomainRules.parse(self.text("VARIANTS", ""), Variants.parse, Variants())
        except ValueError as error:
            self.faults.append(f"VARIANTS: {error}")
            return DomainRules(Variants(), {})

    def limits(self) -> Limits:
        default = Limits()
        return Limits(
            max_upload_bytes=self.integer("MAX_UPLOAD_BYTES", 1, 4096 * MIB, default.max_upload_bytes),
            max_pixels=self.integer("MAX_PIXELS", 1, 10**9, default.max_pixels),
            max_side=self.integer("MAX_SIDE", 1, 65_535, default.max_side),
            max_frames=self.integer("MAX_FRAMES", 1, 10_000, default.max_frames),
            max_total_pixels=self.integer("MAX_TOTAL_PIXELS", 1, 10**9, default.max_total_pixels),
            render_timeout_s=self.number("RENDER_TIMEOUT_S", 0.1, 600, default.render_timeout_s),
            render_memory_bytes=self.integer(
                "RENDER_MEMORY_BYTES", 64 * MIB, 2**40, default.render_memory_bytes
            ),
        )

    def encoding(self) -> Encoding:
        default = Encoding()
        return Encoding(
            jpeg_quality=self.integer("JPEG_QUALITY", 1, 100, default.jpeg_quality),
            webp_quality=self.integer("WEBP_QUALITY", 1, 100, default.webp_quality),
            avif_quality=self.integer("AVIF_QUALITY", 1, 100, default.avif_quality),
            webp_effort=self.integer("WEBP_EFFORT", 0, 6, default.webp_effort),
            avif_effort=self.integer("AVIF_EFFORT", 0, 9, default.avif_effort),
        )
