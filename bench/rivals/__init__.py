"""The servers that others use for pictures, each over a folder of files: IPX, thumbor, nginx's image_filter.

`make bench` installs them; their versions are in `package-lock.json` and `thumbor.lock` beside this file,
nginx's is Debian's. Each is set up as its manual says for production, with as many processes as there are
cores where it has processes (IPX has threads), and without a cache where pictures are to be made. IPX and
thumbor are asked to turn photos upright, which they do not by themselves: a photo that stands has more
pixels of one width than the same lying. image_filter cannot.
"""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.webserver import static_server
from tests.servers import ROOT, Server, free_port, program

HERE = Path(__file__).parent
IPX, THUMBOR, FILTER = "IPX", "thumbor", "nginx image_filter"


@dataclass(frozen=True, slots=True)
class Rival:
    """A running server; `path` gives the request for a file of its folder: name, width in pixels, format."""

    server: Server
    path: Callable[[str, int, str], str]

    def url(self, name: str, width: int, format: str) -> str:
        """The address of one picture."""
        return f"http://127.0.0.1:{self.server.port}{self.path(name, width, format)}"


IPX_UPRIGHT = "rotate_undefined"
"""IPX hands the angle on to sharp, whose `rotate` without one turns a photo as its EXIF says."""


@contextlib.contextmanager
def ipx(folder: Path, photos: Path) -> Iterator[Rival]:
    """IPX as its own command serves it: one process of node, the threads of libuv and libvips."""
    folder.mkdir(parents=True)
    command = [program("node"), str(HERE / "node_modules/ipx/bin/ipx.mjs"), "serve", "--dir", str(photos)]
    env = {"NODE_ENV": "production", "HOST": "127.0.0.1"}
    with _running(folder, command, lambda port: {**env, "PORT": str(port)}) as server:
        yield Rival(server, lambda name, width, format: f"/w_{width},f_{format},{IPX_UPRIGHT}/{name}")


THUMBOR_SETTINGS = """
LOADER = "thumbor.loaders.file_loader"
FILE_LOADER_ROOT_PATH = {photos!r}
STORAGE = "thumbor.storages.no_storage"
ALLOW_UNSAFE_URL = True
RESPECT_ORIENTATION = True
{more}
"""

THUMBOR_KEEPS = """
RESULT_STORAGE = "thumbor.result_storages.file_storage"
RESULT_STORAGE_FILE_STORAGE_ROOT_PATH = {kept!r}
RESULT_STORAGE_STORES_UNSAFE = True
"""


@contextlib.contextmanager
def thumbor(folder: Path, photos: Path, *, keeps: bool = False) -> Iterator[Rival]:
    """thumbor with its Pillow engine, two processes; with `keeps` it stores results and answers from it."""
    folder.mkdir(parents=True)
    more = THUMBOR_KEEPS.format(kept=str(folder / "kept")) if keeps else ""
    settings = folder / "thumbor.conf"
    settings.write_text(THUMBOR_SETTINGS.format(photos=str(photos), more=more))
    command = [str(ROOT / ".venv-thumbor/bin/thumbor"), "-c", str(settings), "-l", "error"]
    with _running(folder, [*command, "--processes", "2", "-i", "127.0.0.1"], lambda port: {}, "-p") as server:
        yield Rival(server, lambda name, width, format: f"/unsafe/{width}x0/filters:format({format})/{name}")


@contextlib.contextmanager
def image_filter(folder: Path, photos: Path) -> Iterator[Rival]:
    """nginx with two processes and its image_filter module, which makes a JPEG of a JPEG."""
    with static_server(folder, photos, image_filter=True) as server:
        yield Rival(server, lambda name, width, format: f"/{width}/{name}")


@contextlib.contextmanager
def _running(
    folder: Path, command: list[str], env: Callable[[int], dict[str, str]], port_option: str = ""
) -> Iterator[Server]:
    port = free_port()
    option = [port_option, str(port)] if port_option else []
    server = Server([*command, *option], port, folder / "log", env=env(port)).start(timeout_s=60)
    try:
        yield server
    finally:
        server.stop()
