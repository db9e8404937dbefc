"""`make audit`: known holes in what is installed, by pip-audit; where its data is out of reach, at least
whether the package index still gives exactly the files whose hashes the locks hold."""

import json
import subprocess
import sys
from pathlib import Path

LOCKS = ("requirements.lock", "requirements-dev.lock")


def audit(pip_audit: str, lock: str) -> bool | None:
    """Whether nothing of a lock has a known hole; None when nobody could be asked."""
    asked = subprocess.run(  # noqa: S603  (the command is ours)
        [
            pip_audit,
            "--require-hashes",
            "--disable-pip",
            "--format=json",
            "--progress-spinner=off",
            "-r",
            lock,
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        packages = json.loads(asked.stdout)["dependencies"]
    except (ValueError, KeyError):
        print(f"{lock}: pip-audit gave no answer: {asked.stderr.strip()[-300:]}")
        return None
    holes = [(package, hole) for package in packages for hole in package.get("vulns", ())]
    for package, hole in holes:
        mended = ", ".join(hole["fix_versions"]) or "no version yet"
        print(f"{lock}: {package['name']} {package['version']} has {hole['id']}, mended in {mended}")
    unknown = [package["name"] for package in packages if "skip_reason" in package]
    if len(unknown) == len(packages):
        return None
    if unknown:
        print(f"{lock}: nothing is known about {', '.join(unknown)}")
    return not holes


def hashes_hold(lock: str) -> bool:
    """Whether every file of a lock can be had, with its hash."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--no-deps"]
    command += ["--ignore-installed", "--require-hashes", "--requirement", lock]
    return subprocess.run(command, check=False).returncode == 0  # noqa: S603  (the command is ours)


def main() -> int:
    """0 when all is well, 1 when something has a hole or another hash."""
    pip_audit = str(Path(sys.argv[1]) / "pip-audit")
    well = True
    for lock in LOCKS:
        found = audit(pip_audit, lock)
        if found is None:
            found = hashes_hold(lock)
            state = "all files have their hashes" if found else "a file is missing or has another hash"
            print(f"{lock}: the data on known holes is out of reach; {state}")
        elif found:
            print(f"{lock}: no known hole")
        well = well and found
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
