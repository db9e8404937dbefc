"""A folder of originals on a local disk (or a mounted one): durable writes, no symbolic links.

PyFilesystem's OSFS writes to the final name, so a crash or a full disk leaves a cut file there,
and it follows symbolic links out of its root (both measured, fs 2.4.16). These functions do the
steps where that matters. They raise plain OSError; `storage.py` says what it means.
"""

import contextlib
import errno
import os
import shutil
import stat
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

TEMPORARY = ".tmp"
"""The folder inside a store for files that are not whole yet; a hash never begins with a dot."""

LEFTOVER_AGE_S = 24 * 3600
"""No write lasts a day, so an older temporary file belongs to a process that died."""

_COPY_INSTEAD = {errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP, errno.ENOSYS}
"""link(2): another file system, a file system without hard links, too many links."""


def install(root: Path, relative: str, source: Path) -> None:
    """Make `source` durable as `root/relative`; a crash leaves the whole file there or nothing.

    A hard link where the file system allows it, so `source` must not be written to afterwards;
    else a copy. A file of the right size that is there already only becomes young again.

    Raises:
        OSError: nothing is left under the final or a temporary name.
    """
    target = root / relative
    folder = _make_folders(root, relative)
    if not _refresh(target, source.stat().st_size):
        temporary = _real_folder(root / TEMPORARY) / uuid.uuid4().hex
        try:
            _link_or_copy(source, temporary)
            _settle(temporary)
            os.replace(temporary, target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    # Also for a file that was there: the writer that put it may not have come to this line.
    _sync_folder(folder)


def inspect(root: Path, relative: str) -> os.stat_result:
    """The stat of a regular file below `root`, reached without any symbolic link.

    Raises:
        OSError: nothing is there, or a link or something else stands in the way (ELOOP).
    """
    *folders, name = relative.split("/")
    here = root
    for part in folders:
        here = here / part
        if not stat.S_ISDIR(os.lstat(here).st_mode):
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(here))
    found = os.lstat(here / name)
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(here / name))
    return found


def files(root: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Every regular file two folders below `root` with its stat; a file removed meanwhile is skipped.

    Memory stays constant: one open folder a level, no list of names.
    """
    for first in _entries(root):
        if first.name == TEMPORARY or not first.is_dir(follow_symlinks=False):
            continue
        for second in _entries(Path(first.path)):
            if not second.is_dir(follow_symlinks=False):
                continue
            for entry in _entries(Path(second.path)):
                with contextlib.suppress(FileNotFoundError):
                    if entry.is_file(follow_symlinks=False):
                        yield f"{first.name}/{second.name}/{entry.name}", entry.stat(follow_symlinks=False)


def sweep(folder: Path, *, prefix: str = "") -> None:
    """Remove the files of `folder` that begin with `prefix` and are older than a day."""
    oldest = time.time() - LEFTOVER_AGE_S
    for entry in _entries(folder):
        # Another process may be sweeping too, so a name that is gone already is fine.
        with contextlib.suppress(FileNotFoundError):
            if entry.name.startswith(prefix) and entry.stat(follow_symlinks=False).st_mtime < oldest:
                os.unlink(entry.path)


def usable(root: Path) -> bool:
    """Whether the folder is there, can be listed, and may be written (false on a read-only mount)."""
    return root.is_dir() and os.access(root, os.R_OK | os.W_OK | os.X_OK)


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    try:
        listing = os.scandir(folder)
    except FileNotFoundError:
        return
    with listing:
        yield from listing


def _make_folders(root: Path, relative: str) -> Path:
    """Create the folders above `relative`. The root itself must be there: making it anew would
    hide that its disk is not mounted."""
    here = root
    for part in relative.split("/")[:-1]:
        here = _real_folder(here / part)
    return here


def _real_folder(folder: Path) -> Path:
    try:
        os.mkdir(folder, 0o755)
    except FileExistsError:
        if not stat.S_ISDIR(os.lstat(folder).st_mode):
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(folder)) from None
        return folder
    _sync_folder(folder.parent)
    return folder


def _refresh(target: Path, size: int) -> bool:
    """Set the age of the file to zero if it is there and whole; its length is all we look at."""
    try:
        found = os.lstat(target)
        if not stat.S_ISREG(found.st_mode) or found.st_size != size:
            return False
        os.utime(target, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _link_or_copy(source: Path, temporary: Path) -> None:
    try:
        os.link(source, temporary)
    except OSError as error:
        if error.errno not in _COPY_INSTEAD:
            raise
        shutil.copyfile(source, temporary)


def _settle(path: Path) -> None:
    """Young, readable by nginx (which may run as another user), and on the disk."""
    os.utime(path)
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        os.fchmod(handle, 0o644)
        os.fsync(handle)
    finally:
        os.close(handle)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
