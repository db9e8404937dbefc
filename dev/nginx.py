"""Renders nginx's configuration: for `make run` and for tests. A container does it by envsubst."""

import math
import os
import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote

from imagestore.settings import MIB, Settings

NGINX_DIR = Path(__file__).resolve().parent.parent / "nginx"

NO_PICTURE_MEMORY = "16k"
"""A dictionary of this size tells nginx/lua/hot.lua to keep no pictures; none at all cannot be written."""

NO_RATE = 1_000_000
"""Requests a second that nobody reaches: nginx has no word for no limit."""

NO_ORIGINALS = "/nonexistent"
"""For a store that is no local folder: nginx finds nothing there and leaves originals to the API."""

DEFAULTS: Mapping[str, str] = {
    "NGINX_DIR": str(NGINX_DIR),
    "MODULES_DIR": "/usr/lib/nginx/modules",
    "NGINX_USER": "",
    "WORKERS": "auto",
    "ACCESS_LOG": "/dev/stdout line",
    "ERROR_LOG": "stderr",
    "ORIGINALS": NO_ORIGINALS,
    "MAX_BODY": str(33 * MIB),
    "RECORD_MEMORY_S": "1",
    "PICTURE_MEMORY": "64m",
    "PUBLIC_MAX_AGE_S": "10",
    "CROSS_ORIGIN_RESOURCE_POLICY": "cross-origin",
    "SIGNING": "",
    "VARIANTS": "",
    # Wildcards that match no file are no error.
    "MORE_ROUTES": "/nonexistent/*.conf",
    "MORE_SERVERS": "/nonexistent/*.conf",
    "METRICS_FROM": "127.0.0.0/8",
    "RATE_PER_ADDRESS": "3000",
    "RENDER_PLACES": "0",
    "RENDER_WAIT_S": "20",
    "TRUSTED_PROXIES": "",
    "CA_FILE": "/etc/ssl/certs/ca-certificates.crt",
}
"""What LISTEN, API, PID and TEMP_DIR are not: values with a sensible default."""

MULTIPART_BYTES = MIB
"""What a multipart upload may have on top of its file; the API measures the file itself."""

STORE_S = 6
"""What a rendition may take on top of its render: the store has 3.5 s to answer, and sends then."""


def render(values: Mapping[str, str]) -> str:
    """The configuration with `values` over the defaults.

    Raises:
        KeyError: a value without a default is missing.
        ValueError: a value holds a quote, a backslash or a `$`, which nginx or Lua would read as its own.
    """
    filled = {**DEFAULTS, "RESOLVER": _name_server(), **values}
    if filled["PICTURE_MEMORY"] in ("0", "off"):
        filled["PICTURE_MEMORY"] = NO_PICTURE_MEMORY
    for name, value in filled.items():
        if set(value) & set('"\\$\n'):
            raise ValueError(f"{name} is {value!r}, expected no quote, backslash, dollar sign or line break")
    rate = int(filled["RATE_PER_ADDRESS"]) or NO_RATE
    filled |= {"RATE_PER_ADDRESS": str(rate), "RATE_BURST": str(2 * rate)}
    filled["REAL_ADDRESS"] = _real_address(filled["TRUSTED_PROXIES"].replace(",", " ").split())
    # Quoted, since the path of a socket may hold blanks.
    filled["METRICS_ALLOW"] = " ".join(
        f"allow {word};" for word in filled["METRICS_FROM"].replace(",", " ").split()
    )
    filled["API_SERVERS"] = f'server "{filled["API"]}" max_fails=0;'
    template = (NGINX_DIR / "nginx.conf.template").read_text()
    return re.sub(r"\$\{([A-Z_]+)\}", lambda match: filled[match[1]], template)


FROM_ENVIRONMENT = {
    "RECORD_MEMORY_S": (r"[0-9]{1,4}(\.[0-9]{1,3})?", "seconds from 0 to 9999"),
    "METRICS_FROM": (r"[0-9a-fA-F.:/, ]+", "addresses or networks"),
    "PICTURE_MEMORY": (r"[0-9]{1,6}[km]|0|off", "a size as 64m, or off"),
    "RATE_PER_ADDRESS": (r"[0-9]{1,6}", "requests a second, or 0 for no limit"),
    "RENDER_PLACES": (r"[0-9]{1,4}", "an integer from 0 to 9999"),
    "TRUSTED_PROXIES": (r"[0-9a-fA-F.:/, ]*", "addresses or networks"),
}
"""Values that are nginx' own business, as the environment has them: grammar, and what it says."""


def own_values(env: Mapping[str, str]) -> dict[str, str]:
    """Those of FROM_ENVIRONMENT that are set.

    Raises:
        ValueError: with a line for each that is wrong.
    """
    found = {name: env[name] for name in FROM_ENVIRONMENT if env.get(name)}
    faults = [
        f"{name} is {value!r}, expected {FROM_ENVIRONMENT[name][1]}"
        for name, value in found.items()
        if not re.fullmatch(FROM_ENVIRONMENT[name][0], value)
    ]
    if faults:
        raise ValueError("\n".join(faults))
    return found


def write(
    run_dir: Path,
    api_socket: Path,
    dashboard_socket: Path,
    settings: Settings,
    port: int,
    env: Mapping[str, str],
) -> Path:
    """Write `nginx.conf` into `run_dir` for an API and a dashboard on these sockets; gives its path."""
    originals = local_folder(settings.storage_url)
    routes = run_dir / "routes.conf"
    to_dashboard = f'proxy_pass "http://unix:{dashboard_socket}:"; include "{NGINX_DIR}/dashboard.conf";'
    routes.write_text(f"location = /rq {{ return 308 /rq/; }}\nlocation /rq/ {{ {to_dashboard} }}\n")
    return write_values(
        run_dir,
        {
            "LISTEN": str(port),
            "API": f"unix:{api_socket}",
            "ORIGINALS": str(originals or NO_ORIGINALS),
            "MAX_BODY": str(settings.limits.max_upload_bytes + MULTIPART_BYTES),
            "RENDER_WAIT_S": str(render_wait_s(settings)),
            "PUBLIC_MAX_AGE_S": str(settings.public_max_age_s),
            "CROSS_ORIGIN_RESOURCE_POLICY": settings.cross_origin_resource_policy,
            "SIGNING": settings.signing.modes.text,
            "VARIANTS": settings.variants.text,
            "MORE_ROUTES": str(routes),
            "ACCESS_LOG": f"/dev/stdout {'json' if settings.log_format == 'json' else 'line'}",
            **own_values(env),
        },
    )


def render_wait_s(settings: Settings) -> int:
    """Seconds that nginx waits for a rendition: for a processor, for the render, and for the store before."""
    return math.ceil(settings.render_queue_timeout_s + settings.limits.render_timeout_s) + STORE_S


def write_values(folder: Path, values: Mapping[str, str]) -> Path:
    """Write `nginx.conf` into `folder`, where its temporary files will lie too; gives its path."""
    temporary = folder / "nginx-temp"
    temporary.mkdir(parents=True, exist_ok=True)
    own = {"PID": str(folder / "nginx.pid"), "TEMP_DIR": str(temporary)}
    if os.getuid() == 0:
        # Else its workers would be `nobody`, who may not enter the folders of root.
        own["NGINX_USER"] = "user root;"
    path = folder / "nginx.conf"
    path.write_text(render({**own, **values}))
    return path


def local_folder(storage_url: str) -> Path | None:
    """The folder of a local store; None for any other kind of STORAGE_URL."""
    scheme, separator, rest = storage_url.partition("://")
    if not separator:
        return Path(storage_url).absolute()
    return Path(unquote(rest)).absolute() if scheme in ("file", "osfs") else None


def _real_address(proxies: list[str]) -> str:
    """From these addresses the client's own is believed, as X-Forwarded-For has it."""
    trusted = "".join(f"set_real_ip_from {proxy}; " for proxy in proxies)
    return f"{trusted}real_ip_header X-Forwarded-For; real_ip_recursive on;" if proxies else ""


def _name_server() -> str:
    """The first name server of this machine: nginx does not read /etc/resolv.conf itself."""
    try:
        text = Path("/etc/resolv.conf").read_text()
    except OSError:
        text = ""
    found = re.search(r"^nameserver\s+([0-9a-fA-F.:]+)", text, re.MULTILINE)
    address = found[1] if found else "127.0.0.1"
    return f"[{address}]" if ":" in address else address
