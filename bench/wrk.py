"""wrk, the load generator: one URL, 64 connections, two threads."""

import json
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.servers import program

CONNECTIONS, THREADS = 64, 2

_SUMMARY = """
done = function(summary, latency, requests)
  local e = summary.errors
  io.stderr:write(string.format('{"requests": %d, "us": %d, "p99_us": %d, "errors": %d}',
    summary.requests, summary.duration, latency:percentile(99),
    e.connect + e.read + e.write + e.status + e.timeout))
end
"""


@dataclass(frozen=True, slots=True)
class Load:
    """What one load saw."""

    rate: float
    """Answers a second."""
    p99_ms: float


def load(url: str, seconds: int) -> Load:
    """Ask for `url` for so many seconds.

    Raises:
        RuntimeError: some answer was an error, so that the figure would say nothing.
    """
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(_SUMMARY)
        script.flush()
        command = [
            program("wrk"),
            f"-t{THREADS}",
            f"-c{CONNECTIONS}",
            f"-d{seconds}s",
            "-s",
            script.name,
            url,
        ]
        done = subprocess.run(command, cwd=Path("/"), capture_output=True, text=True, check=True)
    seen = json.loads(done.stderr)
    if seen["errors"] or not seen["requests"]:
        raise RuntimeError(f"{seen['errors']} errors in {seen['requests']} answers to {url}")
    return Load(seen["requests"] * 1e6 / seen["us"], seen["p99_us"] / 1000)
