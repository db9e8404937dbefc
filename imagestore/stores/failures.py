"""What the failures of a store mean, in the words of `imagestore.errors`."""

import contextlib
import errno
import io
from collections.abc import Iterator
from typing import Any

from fs import errors

from imagestore.errors import InsufficientStorage, OriginalMissing, StorageUnavailable


@contextlib.contextmanager
def translated(missing: str = "the original is missing from the store") -> Iterator[None]:
    """The errors of PyFilesystem and of the operating system as the domain's own."""
    try:
        yield
    except (errors.FSError, OSError) as error:
        cause = getattr(error, "exc", None) or error
        if isinstance(error, errors.InsufficientStorage) or (
            isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT)
        ):
            raise InsufficientStorage("the store of originals is full") from error
        if isinstance(error, (errors.ResourceNotFound, FileNotFoundError)):
            raise OriginalMissing(missing) from error
        raise StorageUnavailable("the store of originals does not answer as it should") from error


class OriginalStream(io.RawIOBase):
    """A store's stream whose failures are ours."""

    def __init__(self, stream: Any) -> None:
        super().__init__()
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        with translated():
            return int(self._stream.readinto(buffer))

    def close(self) -> None:
        if not self.closed:
            self._stream.close()
        super().close()
