"""An nginx whose wall clock can be set while it runs, by Debian's libfaketime.

Redis does not start under libfaketime, and to Python it does too much: the version of Debian 12 (0.9.10)
breaks `time.sleep` when it leaves the monotonic clock alone.
"""

import os
from pathlib import Path

import pytest

from tests.servers import Server


def set_clock(clock: Path, offset_s: int) -> None:
    """Let the clocks that follow the file `clock` be so many seconds ahead, in a moment."""
    new = clock.with_suffix(".new")
    new.write_text(f"{offset_s:+}\n")
    # In place of the old file at once: a reader must not find half of it.
    new.replace(clock)


def start_with_clock(nginx: Server, clock: Path) -> None:
    """Start a running nginx anew, so that it follows the file `clock`, which it looks into every second."""
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
    if not found:
        missing = "libfaketime is not installed; run `make install`"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    set_clock(clock, 0)
    faked = {
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_CACHE_DURATION": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    nginx.stop()
    # nginx passes no variable on to its workers that it is not told of.
    configuration = Path(nginx.command[-1])
    lines = [f"env {name};\n" for name in faked]
    configuration.write_text("".join(lines) + configuration.read_text())
    nginx.env = {**nginx.env, **faked, "LD_PRELOAD": str(found[0])}
    nginx.start()
