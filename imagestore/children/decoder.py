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
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from imagestore.children import precedence
from imagestore.engines import Engine, Inspection, Wish
from imagestore.errors import ImageInvalid, ImagestoreError, ImageTooComplex, UnsupportedMediaType
from imagestore.probe import HEAD_BYTES, probe, sniff
from imagestore.probe.mending import mended
from imagestore.records import Facts, Picture
from imagestore.rendition import Rendition
from imagestore.settings import Encoding, Limits

_PR_SET_PDEATHSIG = 1
"""prctl(2)."""

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
"""mallopt(3)."""

_RETURNED_BYTES = 32 * 1024 * 1024
"""Blocks of this size go back to the kernel at once, and so much stays for the next picture. It is glibc's
largest bound; left alone it lies below, and grows with the blocks that it sees. Over all photos and a PNG of
50 megapixels a decoder came to 233 MiB; with 8 MiB to 208, and 1200 px of a photo took 3 to 7 ms longer, for
pages that the kernel had to clear again (2026-11)."""


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
    inspection: Inspection = field(default_factory=Inspection)
    results: tuple[Picture | ImagestoreError, ...] = ()
    decodes: int = 0
    error: ImagestoreError | None = None
    bug: str | None = None
    fit: bool = True


def serve(orders: Orders, pipe: Connection) -> None:
    """All that the process does: say that it is ready, then answer one task after the other."""
    # Whoever ends the parent by the keyboard does not mean us.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _die_with(orders.asker)
    _confine(orders)
    _hush_stderr()
    desk = _Desk(orders)
    pipe.send(Reply())
    with contextlib.suppress(EOFError):  # the parent wants no more
        while True:
            task, arguments = pipe.recv()
            pipe.send(desk.answer(task, arguments))


class _Desk:
    """The tasks; each gives a reply and raises the errors of `imagestore.errors`, which travel in replies."""

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

    def inspect(self, source: Path, truncated_too: bool, with_base: bool) -> Reply:
        try:
            facts = probe(source, self._orders.limits)
        except ImageInvalid as error:
            if truncated_too and (facts_of_part := self._facts_of_part(source)):
                return Reply(facts=facts_of_part, inspection=Inspection({"truncated": True}))
            raise error
        engine = self._engines_for(facts)[0]
        self._chosen = engine.NAME
        self._decodes += 1
        return Reply(facts=facts, inspection=engine.inspect(source, facts, with_base=with_base))

    def _facts_of_part(self, source: Path) -> Facts | None:
        """Those of a picture that was cut short, if an engine can show what there is of it."""
        try:
            facts = replace(probe(self._mended(source), self._orders.limits), truncated=True)
            self.render(source, facts, [Wish(Rendition(width=64, height=64))])
        except ImageInvalid:
            return None
        return facts

    def _mended(self, source: Path) -> Path:
        """A copy with the end that the file lacks."""
        data = source.read_bytes()
        copy = self._orders.folder / f"mended-{hash(source)}"
        format_ = sniff(data[:HEAD_BYTES])
        copy.write_bytes(mended(data, format_, max_bytes=self._orders.limits.max_upload_bytes))
        return copy

    def render(self, source: Path | bytes, facts: Facts, wishes: Sequence[Wish]) -> Reply:
        """All that can be made; why the others cannot is in the results too. The error of one wish
        alone is raised."""
        if isinstance(source, bytes):
            path = self._orders.folder / "base"
            path.write_bytes(source)
            source = path
        wishes = [self._with_whole_mark(wish) for wish in wishes]
        if len(wishes) == 1:
            return Reply(results=(self._render_alone(source, facts, wishes[0]),))
        if facts.truncated:
            return Reply(results=tuple(self._result(source, facts, wish) for wish in wishes))
        return Reply(results=self._render_together(source, facts, wishes))

    def _render_together(
        self, source: Path, facts: Facts, wishes: Sequence[Wish]
    ) -> tuple[Picture | ImagestoreError, ...]:
        results: dict[int, Picture | ImagestoreError] = {}
        groups: dict[str, list[int]] = {}
        for number, wish in enumerate(wishes):
            try:
                # A mark may be of a format that only another engine reads.
                groups.setdefault(self._engines_for(facts, wish)[0].NAME, []).append(number)
            except UnsupportedMediaType as error:
                results[number] = error
        for self._chosen, numbers in groups.items():
            some = [wishes[number] for number in numbers]
            engine = self._engines_for(facts, some[0])[0]
            batch = engine.render_all(source, facts, some, self._orders.encoding)
            results |= zip(numbers, batch.results, strict=True)
            self._decodes += batch.decodes
        return tuple(results[number] for number in range(len(wishes)))

    def _result(self, source: Path, facts: Facts, wish: Wish) -> Picture | ImagestoreError:
        try:
            return self._render_alone(source, facts, wish)
        except ImagestoreError as error:
            return error

    def _render_alone(self, source: Path, facts: Facts, wish: Wish) -> Picture:
        """Without holding a whole frame. Of a picture that was cut short one engine may be able to show
        what the first cannot: the libheif of libvips' wheel gives no AVIF that has errors."""
        if facts.truncated:
            source = self._mended(source)
        engines = self._engines_for(facts, wish)
        for engine in engines:
            self._chosen = engine.NAME
            self._decodes += 1
            try:
                return engine.render(source, facts, wish.rendition, wish.mark, self._orders.encoding)
            except ImageInvalid:
                if not facts.truncated or engine is engines[-1]:
                    raise
        raise AssertionError("there is an engine, and its last word is given or raised")

    def _with_whole_mark(self, wish: Wish) -> Wish:
        if wish.mark is None or not wish.mark.facts.truncated:
            return wish
        return replace(wish, mark=replace(wish.mark, path=self._mended(wish.mark.path)))

    def _engines(self) -> list[Engine]:
        modules: list[Any] = [importlib.import_module(name) for name in self._orders.engines]
        return modules

    def _engines_for(self, facts: Facts, wish: Wish | None = None) -> list[Engine]:
        """Those that read the picture and its mark, the preferred one first."""
        formats = {facts.format, *([wish.mark.facts.format] if wish and wish.mark else [])}
        found = [engine for engine in self._engines() if formats <= engine.READS]
        if not found:
            raise UnsupportedMediaType(f"format is '{facts.format}', which this server cannot decode")
        return found


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
    libc = ctypes.CDLL(None)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    with contextlib.suppress(AttributeError):  # another C library than glibc keeps less anyway
        libc.mallopt(_M_MMAP_THRESHOLD, _RETURNED_BYTES)
        libc.mallopt(_M_TRIM_THRESHOLD, _RETURNED_BYTES)
    precedence.step_back()
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
