"""What gunicorn is told beyond its own settings."""

import runpy
from pathlib import Path

import pytest
from gunicorn.http.body import Body, LengthReader
from gunicorn.http.unreader import SocketUnreader

from imagestore.spool import CHUNK_BYTES

ROOT = Path(__file__).resolve().parents[2]


class Socket:
    """One whose buffer is always full."""

    def recv(self, size: int) -> bytes:
        return bytes(size)


def test_nothing_of_a_body_is_received_before_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SocketUnreader, "max_body_chunk", SocketUnreader.max_body_chunk)
    runpy.run_path(str(ROOT / "api" / "gunicorn.conf.py"))
    unreader = SocketUnreader(Socket())
    body = Body(LengthReader(unreader, 20 * CHUNK_BYTES))

    for _ in range(3):
        assert len(body.read(CHUNK_BYTES)) == CHUNK_BYTES
        assert unreader.buf.getvalue() == b""
