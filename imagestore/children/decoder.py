"""A decoder: one process that decodes one picture after the other within hard limits."""

import contextlib
import ctypes
import importlib
import math
import os
import resource
import select
import shutil
import signal
import tempfile
import threading
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from imagestore.engines import Engine, Wish
from imagestore.errors import ImageInvalid, ImagestoreError, ImageTooComplex, UnsupportedMediaType
from imagestore.probe import HEAD_BYTES, probe, sniff
from imagestore.probe.mending import mended
from imagestore.records import Facts, Picture
from imagestore.rendition import Rendition
from imagestore.settings import Encoding, Limits

_PR_SET_PDEATHSIG = 1
"""prctl(2)."""


@dataclass(frozen=True, slots=True)
class Orders:
    """What a decoder needs to know. `engines` are names of modules (see `imagestore.engines`) in the
    order of preference: the first that reads a format gets it. `folder` is its own temporary one, and
    `asker` the process id of who gives the tasks."""

    engines: tuple[str, ...]
    limits: Limits
    encoding: Encoding
    folder: Path
    asker: int


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer. `engine` is the name of the engine that was chosen last, or empty; `results` are in the
    order of the wishes; `decodes` counts how often the original was opened and decoded; `fit` says
    whether the process is good for another task."""

    engine: str = ""
    facts: Facts | None = None
    seen: Mapping[str, Any] = field(default_factory=dict)
    results: tuple[Picture | ImagestoreError, ...] = ()
    decodes: int = 0
    error: ImagestoreError | None = None
    bug: str | None = None
    fit: bool = True


def begin(orders: Orders) -> None:
    """The first thing that runs in the process."""
    global _desk
    # Pebble's own handler is Python, which does not run while a library is busy.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _die_with(orders.asker)
    _confine(orders)
    _hush_stderr()
    _desk = _Desk(orders)


def answer(task: str, arguments: Sequence[Any]) -> Reply:
    """Do one task; errors travel in the reply."""
    if _desk is None:
        raise RuntimeError("begin() comes first")
    return _desk.answer(task, arguments)


class _Desk:
    """The tasks; each gives a reply and raises the errors of `imagestore.errors`."""

    def __init__(self, orders: Orders) -> None:
        self._orders = orders
        self._chosen = ""
        self._decodes = 0

    def answer(self, task: str, arguments: Sequence[Any]) -> Reply:
        self._chosen, self._decodes = "", 0
        _allow_cpu_seconds(self._orders.limits)
        try:
            reply: Reply = getattr(self, task)(*arguments)
        except ImagestoreError as error:
            reply = Reply(error=error)
        except (MemoryError, SystemExit):
            refusal = ImageTooComplex("the picture needs more memory than one picture may take")
            reply = Reply(error=refusal, fit=False)
        except Exception as error:
            bug = f"{type(error).__name__}: {error}\n{traceback.format_exc()}"
            reply = Reply(bug=bug, fit=False)
        _empty(self._orders.folder)
        return replace(reply, engine=self._chosen, decodes=self._decodes)

    def check(self) -> Reply:
        """Refuse to work with an ImageMagick that would open what it must not."""
        for engine in self._engines():
            check_policy = getattr(engine, "check_policy", None)
            if check_policy is not None:
                check_policy()
        return Reply()

    def inspect(self, source: Path, truncated_too: bool = False) -> Reply:
        try:
            facts = probe(source, self._orders.limits)
        except ImageInvalid:
            if not truncated_too:
                raise
            return self._inspect_truncated(source)
        engine = self._engine_for(facts.format)
        self._decodes += 1
        return Reply(facts=facts, seen=dict(engine.inspect(source, facts)))

    def _inspect_truncated(self, source: Path) -> Reply:
        """The same for a picture that was cut short, if what there is of it can be shown."""
        data = source.read_bytes()
        copy = self._orders.folder / "mended"
        copy.write_bytes(
            mended(data, sniff(data[:HEAD_BYTES]), max_bytes=self._orders.limits.max_upload_bytes)
        )
        facts = probe(copy, self._orders.limits)
        # Engines are lenient here, and raise where there is nothing to show.
        self._render_alone(source, facts, Wish(Rendition(width=64, height=64)))
        return Reply(facts=facts, seen={"truncated": True})

    def render(self, source: Path, facts: Facts, wishes: Sequence[Wish]) -> Reply:
        """All that can be made; why the others cannot is in the results too."""
        if len(wishes) == 1:
            return Reply(results=(self._render_alone(source, facts, wishes[0]),))
        results: dict[int, Picture | ImagestoreError] = {}
        groups: dict[str, list[int]] = {}
        for number, wish in enumerate(wishes):
            try:
                # A mark may be of a format that only another engine reads.
                groups.setdefault(self._engine_for(*_formats(facts, wish)).NAME, []).append(number)
            except UnsupportedMediaType as error:
                results[number] = error
        for numbers in groups.values():
            some = [wishes[number] for number in numbers]
            engine = self._engine_for(*_formats(facts, some[0]))
            batch = engine.render_all(source, facts, some, self._orders.encoding)
            results |= zip(numbers, batch.results, strict=True)
            self._decodes += batch.decodes
        return Reply(results=tuple(results[number] for number in range(len(wishes))))

    def _render_alone(self, source: Path, facts: Facts, wish: Wish) -> Picture:
        """Without holding a whole frame."""
        engine = self._engine_for(*_formats(facts, wish))
        self._decodes += 1
        return engine.render(source, facts, wish.rendition, wish.mark, self._orders.encoding)

    def _engines(self) -> list[Engine]:
        modules: list[Any] = [importlib.import_module(name) for name in self._orders.engines]
        return modules

    def _engine_for(self, *formats: str) -> Engine:
        for engine in self._engines():
            if engine.READS.issuperset(formats):
                self._chosen = engine.NAME
                return engine
        raise UnsupportedMediaType(f"format is '{formats[0]}', which this server cannot decode")


_desk: _Desk | None = None


def _formats(facts: Facts, wish: Wish) -> list[str]:
    """Of all that an engine has to read."""
    return [facts.format, *([wish.mark.facts.format] if wish.mark else [])]


def _die_with(asker: int) -> None:
    """End when who gives the tasks is gone, also in the middle of one: nobody else would end that.

    The fork server is our parent, and lives as long as any of its forks; so the kernel's word about
    a parent's death is not enough.
    """
    try:
        watched = os.pidfd_open(asker)
    except ProcessLookupError:
        os._exit(1)
    except OSError:
        # Where the call is forbidden, the limit on processor time has to do.
        return

    def watch() -> None:
        select.select([watched], [], [])
        os._exit(1)

    # Libraries let go of the interpreter while they decode.
    threading.Thread(target=watch, name="watch", daemon=True).start()


def _confine(orders: Orders) -> None:
    """Limits that hold for the life of the process, and a folder of its own for temporary files.

    The kernel kills it when the fork server ends, and first of all when memory runs out.
    """
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")
    # What a killed predecessor left goes first.
    shutil.rmtree(orders.folder, ignore_errors=True)
    orders.folder.mkdir(mode=0o700)
    os.chdir(orders.folder)
    for name in ("TMPDIR", "MAGICK_TEMPORARY_PATH", "HOME"):
        os.putenv(name, str(orders.folder))  # the libraries in C read it there
    tempfile.tempdir = str(orders.folder)
    idle = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    memory = orders.limits.render_memory_bytes
    for limit, value in (
        (resource.RLIMIT_AS, idle + memory),
        (resource.RLIMIT_FSIZE, memory),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(limit)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(limit, (value, value))


def _hush_stderr() -> None:
    """Libraries print a line for each broken picture; strangers must not write our log."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)


def _allow_cpu_seconds(limits: Limits) -> None:
    """A second line behind the parent's wall clock: twice its time for all threads together."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    soft = math.ceil(used.ru_utime + used.ru_stime + 2 * limits.render_timeout_s + 1)
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    if hard == resource.RLIM_INFINITY or soft < hard:
        resource.setrlimit(resource.RLIMIT_CPU, (soft, hard))


def _empty(folder: Path) -> None:
    """Remove what the libraries left behind; ImageMagick leaves files after each failed decode."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path, ignore_errors=True)
            else:
                with contextlib.suppress(OSError):
                    os.unlink(entry.path)
