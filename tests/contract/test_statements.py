"""Statements whose texts are made once: what a fork inherits it does not make again."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import peewee
import pytest

from imagestore.catalog import Catalog
from imagestore.errors import KeyConflict
from imagestore.records import Content, Facts
from imagestore.taskcatalog import TaskCatalog
from imagestore.taskrecords import Ended, NewTask

BYTES = Content("5" * 64, "5" * 32, 7)
FACTS = Facts("png", 3, 2)


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'images.db'}"


@pytest.fixture
def catalog(url: str) -> Iterator[Catalog]:
    with contextlib.closing(Catalog(url)) as catalog:
        catalog.prepare()
        # The first image of a domain also makes its row of usage.
        catalog.insert("demo", "first", Content("0" * 64, "0" * 32, 1), FACTS, {}, {})
        yield catalog


def test_a_job_finds_all_texts_made(catalog: Catalog, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with contextlib.closing(TaskCatalog(url)) as tasks:
        task = tasks.insert(NewTask("download", "demo", url="http://a/b", host="a"), queued=True)
        catalog.write_statements()
        monkeypatch.delattr(peewee.Database, "get_sql_context")

        claimed = tasks.claim(task.id)
        assert claimed is not None
        assert tasks.last_fetch("http://a/b", "demo", None) is None
        assert tasks.beat(task.id, claimed[1])
        assert catalog.before_upload("demo", "x", BYTES) == (None, None, True)
        record = catalog.insert("demo", "x", BYTES, FACTS, {"a": 1}, {})
        assert tasks.end(claimed[0], claimed[1], Ended("succeed", image_id=record.id), 5)

        assert catalog.before_upload("demo", "x", BYTES) == (record, record, True)
        with pytest.raises(KeyConflict):
            catalog.insert("demo", "x", BYTES, FACTS, {}, {})
        assert not tasks.beat(task.id, claimed[1]), "it has ended"
