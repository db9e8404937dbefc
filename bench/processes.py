"""What the kernel says of a server's processes (proc(5))."""

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


def command(pid: int) -> str:
    """How it was started; empty for one that is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""
