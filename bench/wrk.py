"""wrk, the load generator: 64 connections, two threads."""

import json
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from tests.servers import program

CONNECTIONS, THREADS = 64, 2
WARM_UP_S = 1
"""Of load on each contestant before its first round, which is slower otherwise: memory and connections are
taken then."""

# No thread writes a request anew each time.
_IN_TURN = """
local requests, last = {}, 0
init = function()
  for i, target in ipairs({%s}) do
    requests[i] = wrk.format("GET", target)
  end
end
request = function()
  last = last %% #requests + 1
  return requests[last]
end
"""

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


def load(urls: Sequence[str], seconds: int) -> Load:
    """Ask one server for `urls` in turn, for so many seconds.

    Raises:
        RuntimeError: some answer was an error, so that the figure would say nothing.
    """
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        if len(urls) > 1:
            targets = ("{0.path}?{0.query}".format(urlsplit(url)) for url in urls)
            script.write(_IN_TURN % ", ".join(map(json.dumps, targets)))
        script.write(_SUMMARY)
        script.flush()
        command = [
            program("wrk"),
            f"-t{THREADS}",
            f"-c{CONNECTIONS}",
            f"-d{seconds}s",
            "-s",
            script.name,
            urls[0],
        ]
        done = subprocess.run(command, cwd=Path("/"), capture_output=True, text=True, check=True)
    seen = json.loads(done.stderr)
    if seen["errors"] or not seen["requests"]:
        raise RuntimeError(f"{seen['errors']} errors in {seen['requests']} answers to {urls[0]}")
    return Load(seen["requests"] * 1e6 / seen["us"], seen["p99_us"] / 1000)
