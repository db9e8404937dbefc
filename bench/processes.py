"""What the kernel says of a server's processes (proc(5))."""

import os
import time
from pathlib import Path


def family(pid: int) -> set[int]:
    """A process and all that descend from it now."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            # The second field, a name in parentheses, may hold anything.
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    found, grown = set[int](), {pid}
    while grown != found:
        found = grown
        grown = found | {child for child, parent in parents.items() if parent in found}
    return found


def peak_mib(pid: int) -> float:
    """The most memory that a process has had (VmHWM), in MiB; 0 for one that is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    for line in status.splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return 0.0


def cpu_s(*pids: int) -> float:
    """Seconds of processor time that these processes and all that descend from them have had, user and
    system; those that have ended count from when their parent waited for them, and to 10 ms only."""
    return sum(_own_cpu_s(pid) + _ended_cpu_s(pid) for pid in set[int]().union(*map(family, pids)))


def _own_cpu_s(pid: int) -> float:
    """Of all its threads, also of those that have ended, which /proc/PID/task/*/schedstat forgets."""
    try:
        # The clock that clock_getcpuclockid(3) gives: Linux makes its number of the process' one.
        return time.clock_gettime(~pid << 3 | 2)
    except OSError:
        return 0.0


def _ended_cpu_s(pid: int) -> float:
    """Of its children that it has waited for."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    # cutime and cstime are the fields 16 and 17, and the first one here is the third.
    return sum(map(int, fields[13:15])) / os.sysconf("SC_CLK_TCK")


def command(pid: int) -> str:
    """How it was started; empty for one that is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""
