"""An engine that does what the bytes after a PNG's end tell it: what a hostile picture could do."""

import contextlib
import ctypes
import os
import re
import resource
import signal
import stat
import struct
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from imagestore.engines import Batch, Inspection, Wish
from imagestore.errors import ImageInvalid, InvalidParameter
from imagestore.records import Facts, Picture
from imagestore.rendition import Rendition
from imagestore.settings import Encoding
from tests.pictures import encode, plain

NAME = "hostile"
READS = frozenset({"png"})

BIG = bytes(range(256)) * 8192
"""2 MiB: many times what a socket's buffer holds."""


def picture(folder: Path, command: str) -> Path:
    """A PNG that makes this engine do `command`."""
    path = folder / f"{command.replace('/', '_')}.png"
    path.write_bytes(encode(plain((1, 2, 3), 4, 4), "png").data + b"\n" + command.encode())
    return path


def inspect(source: Path, facts: Facts, *, with_base: bool = False) -> Inspection:
    return Inspection(_obey(source))


def render(source: Path, facts: Facts, rendition: Rendition, mark: object, encoding: Encoding) -> Picture:
    _obey(source)
    return Picture("image/png", BIG)


def render_all(source: Path, facts: Facts, wishes: Sequence[Wish], encoding: Encoding) -> Batch:
    _obey(source)
    command = source.name.removesuffix(".png")
    if command == "die-together":
        os.abort()
    if command == "hang-together":
        _hang("")
    return Batch((Picture("image/png", BIG),) * len(wishes), 1)


def _obey(source: Path) -> Mapping[str, Any]:
    command, _, argument = source.read_bytes().rsplit(b"\n", 1)[1].decode().partition(" ")
    answer = _COMMANDS[command](argument)
    return {"pid": os.getpid(), **(answer if isinstance(answer, dict) else {})}


def _span(seconds: str) -> dict[str, Any]:
    begin = time.monotonic()
    time.sleep(float(seconds))
    return {"begin": begin, "end": time.monotonic()}


def _refuse(detail: str) -> None:
    raise InvalidParameter("crop", detail)


def _invalid(detail: str) -> None:
    raise ImageInvalid(detail)


def _bug(detail: str) -> None:
    raise KeyError(detail)


def _litter(_: str) -> dict[str, Any]:
    folder = Path(tempfile.gettempdir())
    getenv = ctypes.CDLL(None).getenv
    getenv.restype = ctypes.c_char_p
    (folder / "magick-abc").write_bytes(b"x" * 1000)
    (folder / "deep").mkdir()
    (folder / "deep" / "file").write_bytes(b"x")
    (folder / "link").symlink_to("/")
    names = [b"TMPDIR", b"MAGICK_TEMPORARY_PATH"]
    return {"folder": str(folder), "cwd": os.getcwd(), "seen_by_c": [getenv(name).decode() for name in names]}


def _litter_and_hang(_: str) -> None:
    _litter("")
    _hang("")


def _kill_times(marker: str) -> None:
    """As if somebody else killed us, as often as the marker says."""
    left = int(Path(marker).read_text())
    if left:
        Path(marker).write_text(str(left - 1))
        os.kill(os.getpid(), signal.SIGKILL)


def _hang(_: str) -> None:
    ctypes.CDLL(None).sleep(1000)


def _wait_for(marker: str) -> None:
    while not Path(marker).exists():
        time.sleep(0.01)


def _half_an_answer(_: str) -> None:
    """Begin to answer, past the process's own code, and say no more."""
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            if stat.S_ISSOCK(os.fstat(int(name)).st_mode):
                os.write(int(name), struct.pack("!i", 1000) + b"half")
    _hang("")


def _stop(_: str) -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def _spin(_: str) -> None:
    re.match(r"(a+)+$", "a" * 60 + "b")


def _eat(_: str) -> None:
    hoard = []
    while True:
        hoard.append(bytearray(16 << 20))


def _limits(_: str) -> dict[str, Any]:
    names = ("RLIMIT_AS", "RLIMIT_FSIZE", "RLIMIT_CORE", "RLIMIT_CPU")
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    return {"size": size, **{name: resource.getrlimit(getattr(resource, name))[0] for name in names}}


def _environment(_: str) -> dict[str, Any]:
    return {"environ": Path("/proc/self/environ").read_bytes().decode().split("\0"), "dict": dict(os.environ)}


_COMMANDS: Mapping[str, Any] = {
    "nothing": lambda _: None,
    "die-together": lambda _: None,
    "hang-together": lambda _: None,
    "span": _span,
    "refuse": _refuse,
    "invalid": _invalid,
    "bug": _bug,
    "abort": lambda _: os.abort(),
    "segv": lambda _: ctypes.string_at(0),
    "exit": lambda code: os._exit(int(code)),
    "system-exit": lambda _: sys.exit(1),
    "kill-self": lambda _: os.kill(os.getpid(), signal.SIGKILL),
    "kill-times": _kill_times,
    "hang": _hang,
    "wait-for": _wait_for,
    "half-an-answer": _half_an_answer,
    "stop": _stop,
    "spin": _spin,
    "eat": _eat,
    "litter": _litter,
    "litter-and-hang": _litter_and_hang,
    "limits": _limits,
    "environment": _environment,
}
