"""The import table of docs/architecture.md, checked against the syntax trees."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

WORDS = {
    *("errors", "grammar", "environment", "names", "query", "records", "rendition", "settings"),
    *(
        "strictjson",
        "apikeys",
        "fetchpolicy",
        "accepting",
        "upkeeppolicy",
        "identity",
        "metrics",
        "exposition",
        "spelling",
        "weburl",
        "grants",
        "actor",
        "patience",
        "ledger",
        "permits",
        "guard",
        "taskrecords",
        "presets",
        "breaker",
        "logs",
        "flight",
        "redisurl",
        "domainrules",
        "signing",
        "variants",
        "imagesearch",
    ),
}
"""Modules that anybody may use: values, grammars and counters, no I/O of their own."""

USE_CASES = {
    *("service", "reading", "making", "bases", "writing", "debts"),
    *("quarantine", "upkeep", "diagnosis", "overview"),
    *("keyring", "uploadtokens", "accounts"),
    *("tasks", "taskruns", "callbackruns", "pregeneration", "sweeping", "workshop"),
    "measuring",
}

INSIDE = {
    "models": {
        "cachedebts",
        "catalog",
        "keycatalog",
        "auditcatalog",
        "usagecatalog",
        "imagerows",
        "tokencatalog",
        "bookkeeping",
        "inventory",
        "tabledump",
        "taskcatalog",
        "taskcallbacks",
        "taskturns",
        "taskrows",
        "tasktally",
        "taskpages",
    },
    "bookkeeping": {"catalog", "keycatalog", "auditcatalog", "usagecatalog", "tokencatalog"},
    "cachedebts": {"catalog"},
    "taskpages": {"taskcatalog"},
    "tasktally": {"taskcatalog", "taskcallbacks", "taskturns", "taskrows", "tabledump"},
    "database": {
        "cachedebts",
        "catalog",
        "keycatalog",
        "auditcatalog",
        "usagecatalog",
        "statements",
        "imagerows",
        "tokencatalog",
        "bookkeeping",
        "inventory",
        "tabledump",
        "taskcatalog",
        "taskcallbacks",
        "taskturns",
        "taskrows",
        "tasktally",
        "taskpages",
    },
    "taskrows": {"taskcatalog", "taskcallbacks", "taskturns"},
    "statements": {"catalog", "imagerows", "bookkeeping", "taskcatalog", "taskrows"},
    "imagerows": {"catalog"},
    "taskcallbacks": {"taskcatalog"},
    "taskturns": {"taskcatalog"},
    "migrations": {"catalog"},
    "database_errors": {"database"},
    "database_pools": {"database"},
    "stores": {"storage"},
    "s3": {"storage"},
    "s3client": {"s3"},
    "localdisk": {"storage", "stores"},
    "picturecache": {"cache"},
    "cachelink": {"cache", "picturecache"},
    "cachewords": {"cache", "cachelink", "picturecache"},
    "redisclient": {"cachelink", "jobqueue", "hostlimits", "keylimits"},
    "leases": {"cachelink", "picturecache"},
    "children": {"render"},
    "dialing": {"outbound", "download", "callbacks"},
    "outbound": {"download", "callbacks"},
    "engines": {"render", "children"},
    "probe": {"children"},
}
"""An adapter's own parts -> the only modules that may use them."""

ADAPTERS = {"catalog", "storage", "cache", "probe", "render", "spool", "engines"}
ADAPTERS |= {"download", "callbacks", "taskcatalog", "jobqueue", "hostlimits", "keycatalog"}
ADAPTERS |= {
    "auditcatalog",
    "usagecatalog",
    "inventory",
    "tabledump",
    "keylimits",
    "tokencatalog",
    "redisclient",
}
"""What the use cases are made of; adapters do not know each other."""

ENTRANCES = {"client": {"client"}, "commands": {"client", "commands"}}
"""What is used from outside -> what of its own kind it may use; the commands may use all that an API may."""

OWNERS = {
    "click": {"imagestore.commands"},
    "rich": {"imagestore.commands.bar"},
    "falcon": {"api"},
    "peewee": {
        "imagestore.models",
        "imagestore.database",
        "imagestore.database_errors",
        "imagestore.database_pools",
        "imagestore.imagerows",
        "imagestore.statements",
        "imagestore.taskcatalog",
        "imagestore.taskturns",
        "imagestore.tasktally",
        "imagestore.bookkeeping",
        "imagestore.usagecatalog",
        "imagestore.inventory",
    },
    "playhouse": {
        "imagestore.models",
        "imagestore.database_errors",
        "imagestore.database_pools",
        "imagestore.migrations",
    },
    "pymysql": {"imagestore.database_pools"},
    "fs": {"imagestore.storage", "imagestore.stores", "imagestore.s3"},
    "fs_s3fs": {"imagestore.s3"},
    "boto3": {"imagestore.s3client"},
    "botocore": {"imagestore.s3", "imagestore.s3client"},
    "redis": {
        "imagestore.cachelink",
        "imagestore.jobqueue",
        "imagestore.hostlimits",
        "imagestore.keylimits",
        "imagestore.redisclient",
        "worker",
    },
    "rq": {"imagestore.jobqueue", "worker"},
    "rq_dashboard": {"worker.dashboard"},
    "flask": {"worker.dashboard"},
    "werkzeug": {"worker.dashboard"},
    "pyvips": {"imagestore.engines"},
    "wand": {"imagestore.engines"},
    "PIL": {"imagestore.engines.webp"},
    "simplejpeg": {"imagestore.engines.jpeg"},
    "urllib3": {"imagestore.outbound", "imagestore.client.transport"},
    "idna": {"imagestore.weburl"},
    "prometheus_client": {"imagestore.metrics", "imagestore.exposition"},
}
"""Third-party library -> the modules (or packages) that own it."""


def modules() -> Iterator[tuple[str, Path]]:
    for package in ("api", "worker", "imagestore"):
        for path in sorted((ROOT / package).rglob("*.py")):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            yield name.removesuffix(".__init__"), path


def imports(path: Path) -> set[str]:
    """Every module that a file imports, also inside functions."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide where things come from"
            found |= {node.module or ""} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def concept(module: str) -> str:
    """`imagestore.engines.vips` and `imagestore.engines` are the concept `engines`."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ""


def allowed_inside(importer: str) -> set[str]:
    """What of imagestore a module of imagestore may import."""
    own = {concept(importer)}
    parts = {part for part, users in INSIDE.items() if concept(importer) in users}
    if concept(importer) in WORDS:
        return WORDS | own
    if concept(importer) == "client":
        return WORDS | ENTRANCES["client"]
    if concept(importer) == "commands":
        return WORDS | USE_CASES | ENTRANCES["commands"]
    if concept(importer) in USE_CASES:
        return WORDS | ADAPTERS | USE_CASES
    return WORDS | own | parts


@pytest.mark.parametrize(
    ("name", "path"), list(modules()), ids=lambda value: value if isinstance(value, str) else ""
)
def test_imports_point_inwards(name: str, path: Path) -> None:
    package = name.split(".")[0]
    ours = {m for m in imports(path) if m.split(".")[0] in ("api", "worker", "imagestore")}

    for module in ours:
        target, other = module.split(".")[0], concept(module)
        if package != target:
            assert target == "imagestore", f"{name} imports {module}: only imagestore is shared"
            # RQ's own connections are made in the worker.
            own = {"redisclient"} if package == "worker" else set()
            assert other in WORDS | USE_CASES | {""} | own, f"{name} imports the adapter {module}"
        elif package == "imagestore" and other not in ("", "__version__"):
            assert other in allowed_inside(name), f"{name} imports {module}: adapters do not know each other"


@pytest.mark.parametrize(
    ("name", "path"), list(modules()), ids=lambda value: value if isinstance(value, str) else ""
)
def test_each_library_has_its_owner(name: str, path: Path) -> None:
    for module in imports(path):
        owners = OWNERS.get(module.split(".")[0])
        if owners is not None:
            assert any(name == o or name.startswith(f"{o}.") for o in owners), f"{name} imports {module}"


def test_only_entrances_read_the_environment() -> None:
    entrances = {
        "imagestore.commands.surroundings",
        "api.app",
        "api.gunicorn.conf",
        "worker.gunicorn.conf",
        "worker.__main__",
        "worker.dashboard",
    }
    # These write it, for the processes that they start.
    writers = {"imagestore.render", "imagestore.children.process", "imagestore.children.decoder"}

    readers = {
        name for name, path in modules() if "os.environ" in path.read_text() or "getenv" in path.read_text()
    }

    assert readers <= entrances | writers
