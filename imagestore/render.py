"""Pictures out of strangers' bytes, in processes of their own that are killed when they take too long.

The process that imports this module never parses a byte of a picture and never imports an engine.
"""

import contextlib
import importlib
import logging
import os
import signal
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import imagestore.engines
from imagestore.children.decoder import Orders, Reply
from imagestore.children.decoders import Decoders
from imagestore.children.others import Others
from imagestore.children.process import Died, Late, NotTaken, StartMethod
from imagestore.children.slots import Slots
from imagestore.engines import Inspection, Mark, Wish
from imagestore.errors import (
    ImageInvalid,
    ImagestoreError,
    ImageTooComplex,
    Overloaded,
    ProcessingTimeout,
    RejectedImage,
)
from imagestore.metrics import count_render, decoder_busy, decoder_waited_for
from imagestore.records import Facts, Picture
from imagestore.rendition import Rendition
from imagestore.settings import Encoding, Limits

_log = logging.getLogger(__name__)

ENGINES: Mapping[str, tuple[str, ...]] = {
    "auto": ("imagestore.engines.vips", "imagestore.engines.wand"),
    "wand": ("imagestore.engines.wand",),
}
"""Modules of the engines by the value of `IMAGE_ENGINE`; the first that reads a format gets it."""

MAX_TASKS = 500
"""Tasks of one decoder before a fresh one takes over. Its process is a fork of 50 ms (measured 2026-11)."""

_ENVIRONMENT = {
    # As many pictures at once as there are cores, so one thread each.
    "VIPS_CONCURRENCY": "1",
    "MAGICK_THREAD_LIMIT": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    # Frames in pages of 2 MiB where the kernel gives them when asked: a fault for each 4 KiB costs 4 µs in
    # a virtual machine (measured 2026-11).
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
    # Each arena of glibc reserves 64 MiB of the address space that RLIMIT_AS counts.
    "MALLOC_ARENA_MAX": "2",
    "MAGICK_CONFIGURE_PATH": str(Path(imagestore.engines.__file__).parent / "policy"),
}
"""All variables of a decoder: nothing of our own environment is passed on, so no secret is."""

_PATIENCE_S = 5.0
"""How long decoders are tried that end before they took a task (killed while idle, or at their start)."""

_FORGIVEN = 3
"""So often a picture is tried again whose decoder was killed: its sender would take a refusal for final."""

_OF_MEMORY = frozenset({-signal.SIGKILL, -signal.SIGTRAP, -signal.SIGXCPU})
"""Ends of a decoder that mean too much of something: the kernel when memory runs out, glib's
g_malloc, the CPU limit. ImageMagick calls exit() for the same reasons (hazards M5, M6)."""


def import_engines(engine: str) -> None:
    """Import the engines of `IMAGE_ENGINE`, and use them for nothing, so that forks have them at once."""
    os.environ.update(_ENVIRONMENT)
    for name in ENGINES[engine]:
        importlib.import_module(name)


class Renderer:
    """At most `processes` tasks at once on this machine, over all processes that name the same
    `slots` folder (on a local file system); see `Slots` for `queue` and `queue_timeout_s`.

    `scratch` is where decoders keep temporary files; it may be shared by many processes, and what
    dead ones left there is removed. `engine` is a key of ENGINES. `max_tasks` as MAX_TASKS.
    `start_method` is "forkserver", or "fork" in a process that lives for one job and
    is a fork of one that called `import_engines`: that spares the start of a server.
    Nothing is started before the first task, and till then a fork may inherit it. All methods may be
    called from any thread.
    """

    def __init__(
        self,
        *,
        engine: str,
        processes: int,
        limits: Limits,
        encoding: Encoding,
        queue: int,
        queue_timeout_s: float,
        scratch: Path,
        slots: Path,
        engines: Mapping[str, tuple[str, ...]] = ENGINES,
        max_tasks: int = MAX_TASKS,
        start_method: StartMethod = "forkserver",
    ) -> None:
        self._limits = limits
        self._orders = Orders(engines[engine], limits, encoding, scratch.absolute(), asker=0)
        self._max_tasks = max_tasks
        self._start_method = start_method
        self._others = Others()
        self._slots = Slots(slots, processes, queue=queue, timeout_s=queue_timeout_s, others=self._others)
        self._lock = threading.Lock()
        self._decoders: Decoders | None = None
        self._closed = False

    def inspect(
        self, source: Path, *, truncated_too: bool = False, with_base: bool = False
    ) -> tuple[Facts, Inspection]:
        """What the bytes of a file say, after every coded byte of it was decoded; and the engine's extras.

        With `truncated_too` a file that is cut short and can be shown is no error, but has
        `truncated` in the extras. `with_base` as `Engine.inspect`.

        Raises:
            UnsupportedMediaType, ImageInvalid, ImageTooLarge, ImageTooManyFrames: as `probe` does.
            ImageTooComplex: the same, or it took too much time or memory.
            Overloaded: too many wait already.
        """
        try:
            reply = self._run("inspect", "", source.absolute(), truncated_too, with_base)
        except Late:
            raise ImageTooComplex(
                f"the picture needs more than {self._limits.render_timeout_s:g} s to decode"
            ) from None
        if reply.facts is None:
            raise RuntimeError("a decoder gave no facts")
        return reply.facts, reply.inspection

    def render(self, source: Path, facts: Facts, rendition: Rendition, mark: Mark | None) -> Picture:
        """The picture that `rendition` describes.

        Raises:
            ImageInvalid, InvalidParameter: as the engines do (`imagestore.engines`).
            ImageTooComplex: it took too much memory.
            ProcessingTimeout: it took too much time.
            Overloaded: too many wait already.
        """
        (result,) = self._render(source, facts, [Wish(rendition, mark)])
        if isinstance(result, ImagestoreError):
            raise result
        return result

    def render_base(self, base: bytes, facts: Facts, wish: Wish) -> Picture:
        """The same as `render` from the bytes of a base picture; `facts` are `bases.base_facts`."""
        (result,) = self._render(base, facts, [wish])
        if isinstance(result, ImagestoreError):
            raise result
        return result

    def render_all(
        self, source: Path, facts: Facts, wishes: Sequence[Wish]
    ) -> Sequence[Picture | ImagestoreError]:
        """Several pictures, mostly from one decode: for each wish the picture, or what `render` would
        raise. Together they have the time of one; if that does not do, each is made alone.

        Raises:
            Overloaded: too many wait already.
        """
        if len(wishes) > 1:
            try:
                return self._render(source, facts, wishes)
            except (RejectedImage, ProcessingTimeout):
                _log.info("%d pictures cannot be made together, so each is made alone", len(wishes))
        return [self._alone(source, facts, wish) for wish in wishes]

    def _alone(self, source: Path, facts: Facts, wish: Wish) -> Picture | ImagestoreError:
        try:
            return self.render(source, facts, wish.rendition, wish.mark)
        except Overloaded:
            raise
        except ImagestoreError as error:
            return error

    def _render(
        self, source: Path | bytes, facts: Facts, wishes: Sequence[Wish]
    ) -> Sequence[Picture | ImagestoreError]:
        # Its bytes are ours, and few.
        what, where = ("base", source) if isinstance(source, bytes) else (facts.format, source.absolute())
        try:
            reply = self._run("render", what, where, facts, wishes)
        except Late:
            raise ProcessingTimeout(
                f"the picture was not finished within {self._limits.render_timeout_s:g} s"
            ) from None
        if len(reply.results) != len(wishes):
            raise RuntimeError("a decoder gave no picture")
        return reply.results

    def check(self) -> None:
        """Start a decoder and make sure that the engines refuse what they must.

        It takes no turn: a process that starts while the machine is busy must not give up for that.

        Raises:
            RuntimeError: they do not, or no decoder starts; one line.
        """
        try:
            reply = self._ask("check", ())
            if reply.error or reply.bug:
                raise reply.error or RuntimeError(f"{reply.engine or 'a decoder'} failed: {reply.bug}")
        except (ImagestoreError, Late, RuntimeError) as error:
            message = str(error).partition("\nTraceback")[0] or "a decoder does not answer"
            raise RuntimeError(f"the image engines are not usable: {' '.join(message.split())}") from error

    def close(self) -> None:
        """End all decoders at once, also those at work; their callers get Overloaded."""
        with self._lock:
            self._closed = True
            if self._decoders is not None:
                self._decoders.close()

    def _run(self, task: str, format: str, *arguments: Any) -> Reply:
        with contextlib.ExitStack() as stack:
            with decoder_waited_for():
                stack.enter_context(self._slots.turn())
            stack.enter_context(decoder_busy())
            started = time.monotonic()
            reply, outcome = Reply(), "internal-error"
            try:
                reply = self._ask(task, arguments)
                if reply.error:
                    raise reply.error
                if reply.bug:
                    raise RuntimeError(f"{reply.engine or 'a decoder'} failed: {reply.bug}")
                outcome = "ok"
            except ImagestoreError as error:
                outcome = error.name
                raise
            except Late:
                outcome = ImageTooComplex.name if task == "inspect" else ProcessingTimeout.name
                raise
            finally:
                each = [r.name if isinstance(r, ImagestoreError) else "ok" for r in reply.results]
                count_render(
                    engine=reply.engine,
                    format=reply.facts.format if reply.facts else format,
                    task=task,
                    outcomes=each or [outcome],
                    decodes=reply.decodes,
                    seconds=time.monotonic() - started,
                )
            return reply

    def _ask(self, task: str, arguments: Sequence[Any]) -> Reply:
        started = time.monotonic()
        killed = 0
        far = self._others.are_a_crowd
        while time.monotonic() < started + _PATIENCE_S:
            decoders = self._open_decoders()
            fit = False
            try:
                decoder = decoders.take()
            except NotTaken:
                continue
            try:
                # What a killed decoder took of the picture's time is not given back.
                left_s = self._limits.render_timeout_s - (time.monotonic() - started if killed else 0)
                reply = decoder.ask(task, arguments, left_s, far=far)
                fit = reply.fit
                return reply
            except NotTaken:
                continue
            except Died as died:
                # By somebody for reasons of their own, or by the kernel, and then this picture's memory
                # need not have been the reason: only a picture that it happens to every time is to blame.
                early = time.monotonic() < started + _PATIENCE_S
                if died.code == -signal.SIGKILL and early and killed < _FORGIVEN and not self._closed:
                    killed += 1
                    continue
                raise (self._shutting_down() or _blame(died.code)) from died
            finally:
                decoders.give_back(decoder, fit=fit)
        _log.error("no decoder lives long enough to take a task: task=%s", task)
        raise self._shutting_down() or Overloaded("no decoder process can be started now, try again soon")

    def _open_decoders(self) -> Decoders:
        with self._lock:
            if self._closed:
                raise Overloaded("the server is shutting down")
            if self._decoders is None:
                # Whoever asks first is the one that the decoders live for: a fork may have inherited this.
                self._decoders = Decoders(
                    replace(self._orders, asker=os.getpid()),
                    max_tasks=self._max_tasks,
                    environment=_ENVIRONMENT,
                    start_method=self._start_method,
                )
            return self._decoders

    def _shutting_down(self) -> Overloaded | None:
        return Overloaded("the server is shutting down") if self._closed else None


def _blame(code: int) -> ImagestoreError:
    if code == -signal.SIGTERM:
        return Overloaded("the decoder was ended from outside, try again soon")
    if code in _OF_MEMORY or code >= 0:
        return ImageTooComplex("the picture needs more memory or time than one picture may take")
    return ImageInvalid("the picture is broken in a way that its decoder did not survive")
