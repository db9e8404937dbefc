"""A bare nginx over a folder: the limit that others are measured against, and an origin for downloads."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from tests.servers import Server, free_port, program

# It writes an access log as the project's own nginx does.
CONFIGURATION = """
{modules}
daemon off;
worker_processes 2;
{user}
pid "{folder}/nginx.pid";
error_log stderr error;
events {{ worker_connections 1024; }}
http {{
    access_log "{folder}/access.log" combined buffer=4k flush=1s;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 1000000;
    default_type image/jpeg;
    client_body_temp_path "{folder}/body";
    proxy_temp_path "{folder}/proxy";
    fastcgi_temp_path "{folder}/fastcgi";
    uwsgi_temp_path "{folder}/uwsgi";
    scgi_temp_path "{folder}/scgi";
    server {{
        listen 127.0.0.1:{port} backlog=1024;
        root "{root}";
        {more}
    }}
}}
"""

MODULES = "/usr/lib/nginx/modules"

# Its default buffer is smaller than a camera's picture.
IMAGE_FILTER = """
        location ~ "^/(?<width>[0-9]+)/(?<name>[^/]+)$" {{
            alias "{root}/$name";
            image_filter resize $width -;
            image_filter_buffer 64M;
        }}
"""

UPLOADS = """
        client_max_body_size 100m;
        location /put/ {{
            alias "{folder}/put/";
            dav_methods PUT;
            create_full_put_path on;
        }}
"""

HAND_OVER = """
        client_max_body_size 100m;
        location /put/ {{
            client_body_in_file_only on;
            proxy_pass http://127.0.0.1:{handed_to};
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header X-Body-File $request_body_file;
            proxy_set_header Content-Length "";
            proxy_pass_request_body off;
        }}
"""


@contextlib.contextmanager
def static_server(
    folder: Path,
    root: Path,
    *,
    image_filter: bool = False,
    uploads: bool = False,
    handed_to: int | None = None,
) -> Iterator[Server]:
    """An nginx that answers with the files below `root`; its own files lie in `folder`.

    With `image_filter`, `/WIDTH/NAME` is that file as a picture of that width; with `uploads`, a PUT below
    `/put/` is written to disk; with `handed_to` too, and who listens on that port is told the file's name.
    """
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    # Else its workers would be `nobody`, who may not enter the folders of root.
    user = "user root;" if os.getuid() == 0 else ""
    path = folder / "nginx.conf"
    parts = {IMAGE_FILTER: image_filter, UPLOADS: uploads, HAND_OVER: handed_to is not None}
    more = "".join(part for part, wanted in parts.items() if wanted)
    path.write_text(
        CONFIGURATION.format(
            modules=f"load_module {MODULES}/ngx_http_image_filter_module.so;" if image_filter else "",
            more=more.format(folder=folder, root=root, handed_to=handed_to),
            folder=folder,
            root=root,
            port=port,
            user=user,
        )
    )
    server = Server(
        [program("nginx"), "-p", str(folder), "-e", "stderr", "-c", str(path)], port, folder / "log"
    ).start()
    try:
        yield server
    finally:
        server.stop()
