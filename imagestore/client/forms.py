"""The body of an upload: a form with a picture in it, read as it is sent."""

import contextlib
import io
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO

Source = Path | bytes | IO[bytes]
"""A picture to send: a file, its bytes, or anything that can be read to its end."""

CHUNK_BYTES = 64 * 1024

MEMORY_BYTES = 1024 * 1024
"""Of a stream that cannot be rewound; what is longer waits in a temporary file."""


class Form:
    """`multipart/form-data` (RFC 7578) with fields and one file; each iteration gives it whole."""

    def __init__(self, fields: Mapping[str, str], file: IO[bytes]) -> None:
        boundary = secrets.token_hex(16)
        self.content_type = f"multipart/form-data; boundary={boundary}"
        parts = [
            f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
            for name, value in fields.items()
        ]
        parts.append(
            f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="file"\r\n'
            "Content-Type: application/octet-stream\r\n\r\n"
        )
        self._head, self._tail = "".join(parts).encode(), f"\r\n--{boundary}--\r\n".encode()
        self._file, self._start = file, file.tell()
        self.length = len(self._head) + file.seek(0, os.SEEK_END) - self._start + len(self._tail)

    def __iter__(self) -> Iterator[bytes]:
        yield self._head
        self._file.seek(self._start)
        while chunk := self._file.read(CHUNK_BYTES):
            yield chunk
        yield self._tail


@contextlib.contextmanager
def form(source: Source, fields: Mapping[str, str | None]) -> Iterator[Form]:
    """A form with a picture and those fields that have a value.

    Raises:
        OSError: the file cannot be read.
    """
    given = {name: value for name, value in fields.items() if value is not None}
    with contextlib.ExitStack() as stack:
        if isinstance(source, bytes):
            yield Form(given, io.BytesIO(source))
        elif isinstance(source, Path):
            yield Form(given, stack.enter_context(source.open("rb")))
        elif source.seekable():
            yield Form(given, source)
        else:
            waiting = stack.enter_context(tempfile.SpooledTemporaryFile(MEMORY_BYTES))
            shutil.copyfileobj(source, waiting)
            waiting.seek(0)
            yield Form(given, waiting)
