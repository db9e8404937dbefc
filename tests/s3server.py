"""OpenStack Swift with its S3 interface in one process: a real S3 server for the tests.

    python -P s3server.py FOLDER PORT [ADDRESS]

It checks signatures and keeps what it stored in FOLDER (as files with user extended attributes)
over a restart. A listing has pages of 20 keys, not 1,000, so that a test needs few objects for two
pages. Access key `test:tester`, secret `testing`. It runs in a virtual environment of its
own, made from `swift.lock`, because it needs eventlet.
"""

import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from time import time as now
from typing import Any

import eventlet
import eventlet.wsgi

SERVICES = ("account", "container", "object")
FILTERS = "catch_errors gatekeeper healthcheck listing_formats bulk copy slo dlo versioned_writes symlink"
PROXY = """
[pipeline:main]
pipeline = catch_errors gatekeeper healthcheck listing_formats bulk s3api tempauth copy slo dlo \
versioned_writes symlink proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
# By default one that accepts in over half a second, as on a busy machine, is left alone for a minute.
conn_timeout = 20
node_timeout = 20
error_suppression_limit = 1000000
[filter:s3api]
use = egg:swift#s3api
location = us-east-1
max_bucket_listing = 20
[filter:tempauth]
use = egg:swift#tempauth
user_test_tester = testing .admin
"""

Application = Callable[[dict[str, Any], Any], Iterable[bytes]]


class Cache:
    """Stands for memcached, without which tempauth answers nothing."""

    def __init__(self) -> None:
        self._entries: dict[str, tuple[Any, float]] = {}

    def get(self, key: str, **_: Any) -> Any:
        value, end = self._entries.get(key, (None, 0))
        return value if not end or end > now() else None

    def set(self, key: str, value: Any, time: float = 0, **_: Any) -> None:
        self._entries[key] = (value, time and now() + time)

    def incr(self, key: str, delta: int = 1, time: float = 0, **_: Any) -> int:
        value = int(self.get(key) or 0) + delta
        self.set(key, value, time)
        return value

    def decr(self, key: str, delta: int = 1, time: float = 0, **_: Any) -> int:
        return self.incr(key, -delta, time)

    def delete(self, key: str, **_: Any) -> None:
        self._entries.pop(key, None)


def prepare(folder: Path) -> dict[str, Any]:
    """Write `swift.conf` and one ring a service; each service gets a listening socket of its own."""
    from swift.common.ring import RingBuilder
    from swift.common.utils import set_swift_dir

    (folder / "node" / "d1").mkdir(parents=True, exist_ok=True)
    (folder / "swift.conf").write_text(
        "[swift-hash]\nswift_hash_path_suffix = t\nswift_hash_path_prefix = t\n"
        "[storage-policy:0]\nname = default\ndefault = yes\n"
    )
    set_swift_dir(str(folder))
    sockets = {service: eventlet.listen(("127.0.0.1", 0)) for service in SERVICES}
    for service, listener in sockets.items():
        ring = RingBuilder(1, 1, 1)
        port = listener.getsockname()[1]
        device = {"region": 1, "zone": 1, "ip": "127.0.0.1", "port": port, "device": "d1", "weight": 1.0}
        ring.add_dev(device)
        ring.rebalance()
        ring.get_ring().save(str(folder / f"{service}.ring.gz"))
    return sockets


def load(folder: Path, name: str, config: str) -> Application:
    """The WSGI application that a Swift configuration describes."""
    from swift.common.wsgi import loadapp

    path = folder / f"{name}.conf"
    # A real syslog socket must not be found, so that nothing is written outside of the folder.
    path.write_text(
        f"[DEFAULT]\nswift_dir = {folder}\ndevices = {folder}/node\nmount_check = false\n"
        "disable_fallocate = true\nlog_level = CRITICAL\nlog_address = /nonexistent\nlog_statsd_host =\n"
        f"{config}"
    )
    application: Application = loadapp(str(path), global_conf={"log_name": name})
    return application


def serve(folder: Path, port: int, address: str = "127.0.0.1") -> None:
    """Answer S3 requests on `address`:`port` until the process is ended."""
    from swift.common.http_protocol import SwiftHttpProtocol

    # eventlet's own protocol changes the case of headers, which breaks metadata and signatures.
    options = {"protocol": SwiftHttpProtocol, "capitalize_response_headers": False, "log_output": False}
    for service, listener in prepare(folder).items():
        config = f"[pipeline:main]\npipeline = x\n[app:x]\nuse = egg:swift#{service}\n"
        config += f"recon_cache_path = {folder}\n"
        eventlet.spawn(eventlet.wsgi.server, listener, load(folder, service, config), **options)
    filters = "".join(f"[filter:{name}]\nuse = egg:swift#{name}\n" for name in FILTERS.split())
    proxy = load(folder, "proxy", PROXY + filters)
    cache = Cache()

    def with_cache(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        return proxy({**environ, "swift.cache": cache}, start_response)

    eventlet.wsgi.server(eventlet.listen((address, port)), with_cache, **options)


if __name__ == "__main__":
    # Before Swift is imported, which is why the functions above import it.
    eventlet.monkey_patch()
    serve(Path(sys.argv[1]).resolve(), int(sys.argv[2]), *sys.argv[3:])
